/** The loss of models with concepts: both the sound and the cells of what sounds should be given the clip's category. */
import {
  add,
  cast,
  constant,
  dim,
  div,
  equal,
  greater,
  less,
  logSoftmax,
  maximum,
  mul,
  neg,
  reshape,
  split,
  sum,
  type Value,
} from "../graph/index.js";
import type { ConceptOutputs } from "../models/avs-model.js";
import { averagePool } from "./average-pool.js";
import { countedMean } from "./frame-mean.js";

/** A cell shows what sounds where this much of it is marked, and something else where less than `stray` is. */
const filled = 0.5;
const stray = 0.02;
/** Weight of a cell that shows something else: there are many more of them. */
const otherWeight = 0.2;

/**
 * Cross-entropy of the sound's name plus that of the cells' names, a mean over the cells of a frame and over frames.
 * @param target `f32[N,1,H,W]`: 1 where something sounds, else 0
 * @param concept `i32[N]`: index of the category, -1 for a frame whose category is no concept: its loss is 0
 * @param counts `f32[N]`, 1 for a frame with ground truth, else 0
 */
export function conceptLoss(
  { sound, cells }: ConceptOutputs,
  { target, concept, counts }: { readonly target: Value; readonly concept: Value; readonly counts: Value },
): Value {
  const [batch, names] = [dim(sound, 0), dim(sound, 1)];
  const indices = Int32Array.from({ length: names }, (_, i) => i);
  const ofConcept = equal(
    reshape(concept, [batch, 1]),
    constant({ dtype: "i32", shape: [1, names], data: indices }),
  );
  const known = cast(ofConcept, "f32"); // [N,K], zeros without a concept
  const heard = neg(sum(mul(known, logSoftmax(sound, 1)), { axes: [1] })); // [N]

  const [height, width] = [dim(cells, 2), dim(cells, 3)];
  const coverage = averagePool(target, height, width); // [N,1,h,w]
  const shows = cast(greater(coverage, filled), "f32");
  const other = mul(cast(less(coverage, stray), "f32"), otherWeight);
  const likelihood = logSoftmax(cells, 1); // [N,K+1,h,w]
  const names4 = reshape(known, [batch, names, 1, 1]);
  const [named, rest] = split(likelihood, 1, [names, 1]);
  const right = sum(mul(named, names4), { axes: [1], keepDims: true }); // [N,1,h,w]
  const total = sum(add(mul(shows, right), mul(other, rest)), { axes: [1, 2, 3] });
  const weights = sum(add(shows, other), { axes: [1, 2, 3] });
  const seen = neg(div(total, maximum(weights, otherWeight)));
  const hasConcept = sum(known, { axes: [1] });
  return countedMean(mul(add(heard, seen), hasConcept), counts);
}
