/** The losses of the published recipe, as graphs from logits to one number. */
import {
  add,
  cast,
  constant,
  dim,
  div,
  equal,
  logSoftmax,
  mean,
  mul,
  reshape,
  scalar,
  sigmoid,
  softplus,
  sub,
  sum,
  type Value,
  where,
} from "../graph/index.js";

/** Weight of each loss in the total; absent or 0 leaves it out. */
export interface LossWeights {
  readonly dice?: number | undefined;
  readonly focal?: number | undefined;
  readonly bce?: number | undefined;
  readonly crossEntropy?: number | undefined;
}

/** The total that is minimised and the losses it is made of, unweighted, all scalars `f32[]`. */
export interface LossValues {
  readonly total: Value;
  readonly parts: ReadonlyMap<keyof LossWeights, Value>;
}

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
  return counts === undefined ? mean(perFrame) : div(sum(mul(perFrame, counts)), sum(counts));
}

/** Binary cross-entropy per pixel, without overflow: log(1 + e^x) - x y.  f32[N,1,H,W] -> f32[N,1,H,W] */
function pixelCrossEntropy(logits: Value, target: Value): Value {
  return sub(softplus(logits), mul(logits, target));
}

/** Binary cross-entropy, mean over pixels. Shapes as in `diceLoss`. */
export function bceLoss(logits: Value, target: Value): Value {
  return mean(pixelCrossEntropy(logits, target));
}

/** Focal loss (Lin et al. 2017) with alpha 0.25, gamma 2, mean over pixels. Shapes as in `diceLoss`. */
export function focalLoss(logits: Value, target: Value): Value {
  const p = sigmoid(logits);
  const miss = add(p, mul(target, sub(1, mul(p, 2)))); // 1 - p where y = 1, p where y = 0
  const alpha = sub(0.75, mul(target, 0.5));
  return mean(mul(mul(alpha, mul(miss, miss)), pixelCrossEntropy(logits, target)));
}

/**
 * Cross-entropy over classes, mean over the pixels of the frames that count.
 * @param logits `f32[N,K,H,W]`
 * @param classes `i32[N,H,W]`
 * @param counts `f32[N]`, 1 for a frame with ground truth, else 0
 */
export function crossEntropyLoss(logits: Value, classes: Value, counts: Value): Value {
  const [n, k] = [dim(logits, 0), dim(logits, 1)];
  const [height, width] = [dim(logits, 2), dim(logits, 3)];
  const indices = constant({
    dtype: "i32",
    shape: [1, k, 1, 1],
    data: Int32Array.from({ length: k }, (_, i) => i),
  });
  const hit = equal(reshape(classes, [n, 1, height, width]), indices); // [N,K,H,W]
  const logLikelihood = sum(where(hit, logSoftmax(logits, 1), scalar(0)), { axes: [1, 2, 3] }); // [N]
  return div(sum(mul(logLikelihood, counts)), mul(sum(counts), -height * width));
}

/**
 * The weighted sum of the losses that `weights` names.
 * @param logits `f32[N,K,H,W]` of the frames that have, or may have, ground truth
 * @param target `u8[N,H,W]`: 0 and 1, or class indices for cross-entropy
 * @param counts `f32[N]`, which frames have ground truth; only cross-entropy heeds it
 * @throws `RangeError` when no loss has a weight
 */
export function lossOf(logits: Value, target: Value, counts: Value, weights: LossWeights): LossValues {
  const parts = new Map<keyof LossWeights, Value>();
  const binary = (): Value =>
    cast(reshape(target, [dim(logits, 0), 1, dim(logits, 2), dim(logits, 3)]), "f32");
  if (weights.dice) parts.set("dice", diceLoss(logits, binary()));
  if (weights.focal) parts.set("focal", focalLoss(logits, binary()));
  if (weights.bce) parts.set("bce", bceLoss(logits, binary()));
  if (weights.crossEntropy) parts.set("crossEntropy", crossEntropyLoss(logits, cast(target, "i32"), counts));
  const weighted = [...parts].map(([name, value]) => mul(value, weights[name] ?? 0));
  const [first, ...rest] = weighted;
  if (!first) throw new RangeError("losses: expected at least one with a weight above 0");
  return { total: rest.reduce((a, b) => add(a, b), first), parts };
}
