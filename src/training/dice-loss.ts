/** The dice loss of the published recipes. */
import { add, div, mean, mul, sigmoid, sub, sum, type Value } from "../graph/index.js";
import { countedMean } from "./frame-mean.js";

/**
 * Dice: per frame 1 - 2 sum(p y) / (sum p^2 + sum y^2 + 2 * 0.001), p = sigmoid(logits); mean over frames.
 * @param logits `f32[N,1,H,W]`
 * @param target `f32[N,1,H,W]` of 0 and 1
 * @param counts `f32[N]`, 1 for a frame with ground truth, else 0. Default: all frames have it.
 */
export function diceLoss(logits: Value, target: Value, counts?: Value): Value {
  const p = sigmoid(logits);
  const overFrame = (x: Value): Value => sum(x, { axes: [1, 2, 3] });
  const overlap = mul(overFrame(mul(p, target)), 2);
  const size = add(add(overFrame(mul(p, p)), overFrame(mul(target, target))), 2 * 0.001);
  const perFrame = sub(1, div(overlap, size)); // [N]
  return counts === undefined ? mean(perFrame) : countedMean(perFrame, counts);
}
