/** What every system does with the frames of a batch: which of them are decoded, and which are padding. */
import { dim, mul, reshape, slice, type Value } from "../graph/index.js";

/** Every `step`-th frame from the first on: x `[N,...]` -> `[ceil(N/step),...]`. */
export function everyFrame(x: Value, step: number): Value {
  return step === 1 ? x : slice(x, [{ axis: 0, start: 0, end: dim(x, 0), step }]);
}

/** x `[N,...]` times the mask `[N]` of real frames: zero for padded ones. Without a mask: x. */
export function realFrames(x: Value, mask: Value | undefined): Value {
  if (mask === undefined) return x;
  return mul(x, reshape(mask, [dim(x, 0), ...x.shape.slice(1).map(() => 1)]));
}
