/** A 3x3 convolution of a bilinearly upsampled map, computed mostly at the low resolution. */
import {
  add,
  concat,
  conv2d,
  dim,
  interpolation,
  matmul,
  pad,
  reshape,
  resize,
  shape4,
  slice,
  transpose,
  type Value,
} from "../graph/index.js";
import type { Pass } from "./pass.js";
import { toTokens } from "./patches.js";

/**
 * `conv3x3(upsample(x), padding 1)`.  x `[B,C,H,W]`, weight `[K,C,3,3]`, bias `[K]` -> `[B,K,factor*H,factor*W]`
 *
 * Each of the nine kernel positions is a 1x1 convolution, which commutes with upsampling: nine products to K channels at
 * the low resolution (`factor^2` times fewer multiplications), then upsampled, shifted and summed. Upsampling and
 * shifting are linear and separable: one matrix per axis does both for three positions, and its zero rows are the
 * convolution's zero padding at the high resolution.
 */
export function upsampledConv(
  x: Value,
  { weight, bias, factor }: { readonly weight: Value; readonly bias: Value; readonly factor: number },
  pass: Pass,
): Value {
  const [batch, channels, height, width] = shape4(x, "upsampledConv");
  const classes = dim(weight, 0);
  const size = { height: factor * height, width: factor * width };
  if (!pass.fused) return conv2d(resize(x, { mode: "bilinear", ...size }), weight, bias, { padding: 1 });

  const kernel = reshape(transpose(weight, [0, 2, 3, 1]), [9 * classes, channels]); // K, row u, column v
  const low = pass.preferMatmul
    ? matmul(kernel, toTokens(x).tokens, { transB: true })
    : matmul(kernel, reshape(x, [batch, channels, height * width])); // [B,K*9,H*W]
  const parts = reshape(low, [batch * classes * 3, 3, height, width]); // (B,K,u), v
  const columns = reshape(transpose(parts, [0, 2, 1, 3]), [batch * classes * 3 * height, 3 * width]);
  const wide = matmul(columns, shiftedUpsampling(width, factor), { transB: true }); // [(B,K,u,H),W']
  const stacked = reshape(wide, [batch * classes, 3 * height, size.width]);
  const full = matmul(shiftedUpsampling(height, factor), stacked); // [(B,K),H',W']
  return add(reshape(full, [batch, classes, size.height, size.width]), reshape(bias, [1, classes, 1, 1]));
}

/**
 * `[factor*n, 3n]`: column block u upsamples an axis and shifts it by u - 1, filling with zeros, so that output i reads
 * the upsampled axis at i + u - 1.
 */
function shiftedUpsampling(n: number, factor: number): Value {
  const large = factor * n;
  const upsample = interpolation("bilinear", n, large);
  const down = slice(upsample, [{ axis: 0, start: 0, end: large - 1 }]);
  const up = slice(upsample, [{ axis: 0, start: 1, end: large }]);
  return concat(
    [pad(down, [{ axis: 0, before: 1, after: 0 }]), upsample, pad(up, [{ axis: 0, before: 0, after: 1 }])],
    1,
  );
}
