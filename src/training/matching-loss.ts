/** The audio-visual matching loss of AVSBench (Zhou et al. 2022, section 3.4; its form "kl" without normalization). */
import {
  add,
  cast,
  dim,
  greater,
  logSoftmax,
  max,
  mean,
  mul,
  sigmoid,
  slice,
  softmax,
  sub,
  sum,
  type Value,
} from "../graph/index.js";
import type { MatchingOutputs } from "../models/avs-model.js";
import { averagePool } from "./average-pool.js";
import { countedMean } from "./frame-mean.js";

/**
 * The predicted mask, pooled to a stage's size, weighs the stage's map; over channels, its mean should be distributed
 * as the audio is: KL(softmax(audio) || softmax(masked visual)), averaged over the stages that have a block.
 *
 * One class: the mask is the sigmoid of the pooled logits, and frames are summed. Several: it is where another class
 * than the first is the most likely one, and frames are averaged with the weights `counts` `f32[N]`.
 * @throws `RangeError` when no stage attends to the audio
 */
export function matchingLoss(logits: Value, { maps, audio }: MatchingOutputs, counts: Value): Value {
  const binary = sumsFrames(logits);
  const found = binary ? logits : foreground(logits);
  const losses = maps.flatMap((map, i) => {
    const audioMap = audio[i];
    if (audioMap === undefined) return [];
    const pooled = averagePool(found, dim(map, 2), dim(map, 3));
    const visualMap = mean(mul(map, binary ? sigmoid(pooled) : pooled), { axes: [2, 3] }); // [N,C]
    const perFrame = divergence(audioMap, visualMap); // [N]
    return [binary ? sum(perFrame) : countedMean(perFrame, counts)];
  });
  if (losses.length === 0) throw new RangeError("matching loss: no stage attends to the audio");
  return mul(
    losses.reduce((a, b) => add(a, b)),
    1 / losses.length,
  );
}

/** Whether the loss is a sum over frames, and no mean: that of one class. */
export function sumsFrames(logits: Value): boolean {
  return dim(logits, 1) === 1;
}

/** 1 where a class other than the first is the most likely one; no gradient passes.  `[N,K,H,W]` -> `[N,1,H,W]` */
function foreground(logits: Value): Value {
  const classes = dim(logits, 1);
  const first = slice(logits, [{ axis: 1, start: 0, end: 1 }]);
  const others = max(slice(logits, [{ axis: 1, start: 1, end: classes }]), { axes: [1], keepDims: true });
  return cast(greater(others, first), "f32");
}

/** KL(softmax(target) || softmax(x)) of every row: `[N,C]`, `[N,C]` -> `[N]`. */
function divergence(target: Value, x: Value): Value {
  return sum(mul(softmax(target, 1), sub(logSoftmax(target, 1), logSoftmax(x, 1))), { axes: [1] });
}
