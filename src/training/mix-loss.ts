/** The auxiliary loss of AVSegFormer (Gao et al. 2024, section 3.5): the mask feature alone should mark the mask. */
import { dim, mean, resize, type Value } from "../graph/index.js";
import { diceLoss } from "./dice-loss.js";

/**
 * Dice loss of the mask feature's mean over channels, enlarged to the mask and read as logits.
 * @param feature `f32[N,C,h,w]`
 * @param target `f32[N,1,H,W]`: 1 where something sounds, else 0
 * @param counts `f32[N]`, 1 for a frame with ground truth, else 0
 */
export function mixLoss(feature: Value, target: Value, counts: Value): Value {
  const average = mean(feature, { axes: [1], keepDims: true }); // [N,1,h,w]
  const [height, width] = [dim(target, 2), dim(target, 3)];
  return diceLoss(resize(average, { mode: "bilinear", height, width }), target, counts);
}
