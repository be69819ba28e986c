/** Between channels-first maps `[B,C,H,W]` and tokens `[B,N,C]`, and convolutions over patches of tokens. */
import {
  add,
  affine,
  conv2d,
  dim,
  reshape,
  resize,
  shape3,
  shape4,
  slice,
  transpose,
  type Value,
} from "../graph/index.js";
import type { Pass } from "./pass.js";

/** Tokens `[B,height*width,C]`, row by row, with the size of their grid. */
export interface TokenGrid {
  readonly tokens: Value;
  readonly height: number;
  readonly width: number;
}

/** A map `[B,C,H,W]` as tokens. */
export function toTokens(map: Value): TokenGrid {
  const [batch, channels, height, width] = shape4(map, "toTokens");
  // In this order the runtime leaves its blocked layout and permutes the axes in one step.
  const tokens = reshape(transpose(map, [0, 2, 3, 1]), [batch, height * width, channels]);
  return { tokens, height, width };
}

/** Tokens as a map `[B,C,H,W]`. */
export function toMap({ tokens, height, width }: TokenGrid): Value {
  const [batch, , channels] = shape3(tokens, "toMap");
  return transpose(reshape(tokens, [batch, height, width, channels]), [0, 3, 1, 2]);
}

/** A convolution whose kernel is its stride. */
export interface PatchWeights {
  /** `[O,C,size,size]` */
  readonly weight: Value;
  /** `[O]` */
  readonly bias: Value;
  readonly size: number;
}

/**
 * A convolution of kernel = stride = `size` over tokens.  `[B,N,C]` -> `[B,N/size^2,O]`
 * The patches do not overlap, so the convolution is a permutation and one matrix product.
 */
export function patchLinear(grid: TokenGrid, { weight, bias, size }: PatchWeights, pass: Pass): Value {
  if (!pass.fused) return toTokens(conv2d(toMap(grid), weight, bias, { stride: size })).tokens;
  const [batch, , channels] = shape3(grid.tokens, "patchLinear");
  const rows = Math.floor(grid.height / size);
  const columns = Math.floor(grid.width / size);
  const pixels = slice(reshape(grid.tokens, [batch, grid.height, grid.width, channels]), [
    { axis: 1, start: 0, end: rows * size },
    { axis: 2, start: 0, end: columns * size },
  ]);
  const cut = reshape(pixels, [batch * rows, size, columns, size * channels]);
  const patches = reshape(transpose(cut, [0, 2, 1, 3]), [batch, rows * columns, size * size * channels]);
  const kernel = reshape(transpose(weight, [0, 2, 3, 1]), [dim(weight, 0), -1]); // [O,size*size*C]
  return affine(patches, kernel, bias);
}

/** The sum of `fine` `[B,C,H,W]` and `coarse` `[B,C,h,w]`, resized to its size by nearest. */
export function addUpsampled(fine: Value, coarse: Value, pass: Pass): Value {
  const [batch, channels, height, width] = shape4(fine, "addUpsampled");
  const [, , rows, columns] = shape4(coarse, "addUpsampled");
  if (!pass.preferMatmul || height % rows !== 0 || width % columns !== 0) {
    return add(fine, resize(coarse, { mode: "nearest", height, width }));
  }
  // Channels last, where every pixel of the coarse map is broadcast to a patch of the fine one.
  const last = [0, 2, 3, 1];
  const patches = [batch, rows, height / rows, columns, width / columns, channels];
  const pixels = reshape(transpose(coarse, last), [batch, rows, 1, columns, 1, channels]);
  const sum = add(reshape(transpose(fine, last), patches), pixels);
  return transpose(reshape(sum, [batch, height, width, channels]), [0, 3, 1, 2]);
}

/** Nearest resize of tokens to `floor(H/factor) x floor(W/factor)` -> `[B,N',C]`. */
export function reduceTokens(grid: TokenGrid, factor: number): Value {
  const { tokens, height, width } = grid;
  if (factor === 1) return tokens;
  const [batch, , channels] = shape3(tokens, "reduceTokens");
  if (height % factor !== 0 || width % factor !== 0) {
    const size = { height: Math.floor(height / factor), width: Math.floor(width / factor) };
    return toTokens(resize(toMap(grid), { mode: "nearest", ...size })).tokens;
  }
  // Every factor-th token of every factor-th row.
  const picked = slice(reshape(tokens, [batch, height, width, channels]), [
    { axis: 1, start: 0, end: height, step: factor },
    { axis: 2, start: 0, end: width, step: factor },
  ]);
  return reshape(picked, [batch, -1, channels]);
}
