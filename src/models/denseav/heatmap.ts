/**
 * From features in the common space to heat maps and masks. Heat maps are DenseAV's own; the masks are this library's, since
 * the published code draws heat maps only. The rule, for a clip of T seconds with a frame each:
 *
 * 1. The similarity of a frame to its second is the mean over the steps of that second, blurred over time as published.
 * 2. The map is enlarged to the frame (cubic convolution), clamped at 0, and scaled so that the clip's smallest value is 0
 *    and its largest 1, over all frames together, as in the published demonstration.
 * 3. Pixels above Otsu's threshold of the clip (Otsu 1979, in steps of 1/64) are marked. Frames without anything that
 *    sounds like the clip lie below it as a whole.
 *
 * B clips of T seconds, N = B*T frames, L patches, K heads, D channels, S steps of the sound.
 */
import { f32At } from "../../arrays.js";
import {
  cast,
  constant,
  dim,
  div,
  equal,
  greater,
  matmul,
  max,
  maximum,
  mul,
  neg,
  relu,
  reshape,
  shape3,
  sub,
  sum,
  transpose,
  type Value,
  where,
} from "../../graph/index.js";
import { f32, full } from "../../tensor.js";

/**
 * Inner products of patches and steps, the channels in K consecutive groups: patches `[N,L,D]`, steps `[1,S,D]` or `[N,S,D]`
 * -> `[N,K,L,S]`
 */
export function similarity(patches: Value, steps: Value, heads: number): Value {
  return matmul(perHead(patches, heads), perHead(steps, heads), { transB: true });
}

/** `[N,L,D]` -> `[N,K,L,D/K]` */
function perHead(x: Value, heads: number): Value {
  const [batch, rows, width] = shape3(x, "denseav");
  return transpose(reshape(x, [batch, rows, heads, width / heads]), [0, 2, 1, 3]);
}

/** Weights e^(-x^2/2) of a step and its neighbors, x = -2, 0, 2. */
const kernel = [-2, 0, 2].map((x) => Math.exp((-x * x) / 2));

/** `[S,S]`: the blur over time; the ends are repeated. */
function blurMatrix(steps: number): Float32Array<ArrayBuffer> {
  const total = kernel.reduce((a, b) => a + b);
  const rows = new Float32Array(steps * steps);
  for (let i = 0; i < steps; i++) {
    for (const [k, weight] of kernel.entries()) {
      const j = Math.min(Math.max(i + k - 1, 0), steps - 1);
      rows[i * steps + j] = f32At(rows, i * steps + j) + weight / total;
    }
  }
  return rows;
}

/** Blurs the last axis, S steps, over time. */
export function blurred(similarities: Value): Value {
  const steps = dim(similarities, -1);
  return matmul(similarities, constant(f32(blurMatrix(steps), [steps, steps])), { transB: true });
}

/** `[T,S]`: for every second the mean over its steps of a blurred sequence; S steps cover T seconds. */
export function secondsOfSteps(seconds: number, steps: number): Value {
  const blur = blurMatrix(steps);
  const rows = full([seconds, steps]);
  const perSecond = steps / seconds;
  for (let second = 0; second < seconds; second++) {
    const [start, end] = [second * perSecond, (second + 1) * perSecond];
    for (let step = Math.floor(start); step < Math.min(end, steps); step++) {
      const fraction = (Math.min(step + 1, end) - Math.max(step, start)) / perSecond;
      for (let j = 0; j < steps; j++)
        rows.data[second * steps + j] =
          f32At(rows.data, second * steps + j) + fraction * f32At(blur, step * steps + j);
    }
  }
  return constant(rows);
}

/** Heat of every patch of a frame for its second: patches `[N,L,D]`, seconds `[N,1,D]` -> `[N,L]`, the maximum of the heads. */
export function heatOf(patches: Value, seconds: Value, heads: number): Value {
  const [frames, rows, width] = shape3(patches, "denseav");
  const products = reshape(mul(patches, seconds), [frames, rows, heads, width / heads]);
  return max(sum(products, { axes: [3] }), { axes: [2] });
}

/**
 * Heat `[B,P]` of all pixels of a clip, scaled as it is shown: clamped at 0, its minimum subtracted, divided by its maximum.
 * `kept` `[B,P]` is 0 for pixels of padded frames, which become 0.
 */
export function shownHeat(heat: Value, kept: Value | undefined): Value {
  const clamped = relu(heat);
  const over = { axes: [1], keepDims: true };
  // Padded pixels must not be the smallest: none is larger than the largest.
  const counted = kept === undefined ? clamped : where(greater(kept, 0), clamped, max(clamped, over));
  const raised = sub(clamped, neg(max(neg(counted), over)));
  const real = kept === undefined ? raised : mul(raised, kept);
  return div(real, maximum(max(real, over), 1e-20));
}

/** Thresholds that are compared. */
const thresholds = 63;

/**
 * Otsu's threshold of values `[B,P]` from 0 to 1: of 1/64, 2/64, ... 63/64 the one that separates two groups with the
 * largest variance between them, or the mean of several such.  -> `[B,1]`
 */
export function otsuThreshold(values: Value, kept: Value | undefined): Value {
  const [batch = 1, count = 1] = values.shape;
  const candidates = f32(
    Array.from({ length: thresholds }, (_, i) => (i + 1) / (thresholds + 1)),
    [1, thresholds, 1],
  );
  const pixels = reshape(values, [batch, 1, count]);
  const weights =
    kept === undefined ? constant(full([batch, 1, count], 1)) : reshape(kept, [batch, 1, count]);
  const above = mul(cast(greater(pixels, constant(candidates)), "f32"), weights); // [B,63,P]
  const over = { axes: [2], keepDims: true };
  const [number, all] = [sum(above, over), sum(weights, over)]; // [B,63,1], [B,1,1]
  const upper = matmul(above, pixels, { transB: true }); // [B,63,1]
  const lower = sub(sum(mul(pixels, weights), over), upper);
  const rest = sub(all, number);
  // n0 n1 (mean1 - mean0)^2, over n^2, without a division by an empty group
  const apart = div(sub(mul(upper, rest), mul(lower, number)), mul(all, all));
  const between = div(mul(apart, apart), maximum(div(mul(number, rest), mul(all, all)), 1e-12));
  const best = cast(equal(between, max(between, { axes: [1], keepDims: true })), "f32");
  const chosen = div(sum(mul(best, constant(candidates)), { axes: [1] }), sum(best, { axes: [1] }));
  return reshape(chosen, [batch, 1]);
}

/** How steeply the probability of a pixel rises with its heat; a threshold is at one half. */
const steepness = 10;

/** Logits of shown heat `[B,P]`: 0 at Otsu's threshold. */
export function logitsOf(shown: Value, kept: Value | undefined): Value {
  return mul(sub(shown, otsuThreshold(shown, kept)), steepness);
}
