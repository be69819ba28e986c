/** Means over the frames that have ground truth. */
import { div, maximum, mul, sum, type Value } from "../graph/index.js";

/** How many frames count, at least 1: a part of a batch may have none.  counts `f32[N]` -> `f32[]` */
export function countOf(counts: Value): Value {
  return maximum(sum(counts), 1);
}

/** Mean of `f32[N]` over the frames that count, 0 where none does. */
export function countedMean(perFrame: Value, counts: Value): Value {
  return div(sum(mul(perFrame, counts)), countOf(counts));
}
