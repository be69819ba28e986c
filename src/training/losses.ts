/** The losses of the published recipe, as graphs from logits to one number. */
import {
  add,
  cast,
  constant,
  dim,
  div,
  equal,
  greater,
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
import type { AvsOutputs } from "../models/avs-model.js";
import { conceptLoss } from "./concept-loss.js";
import { diceLoss } from "./dice-loss.js";
import { countOf } from "./frame-mean.js";
import { matchingLoss, sumsFrames } from "./matching-loss.js";
import { mixLoss } from "./mix-loss.js";

/** Weight of each loss in the total; absent or 0 leaves it out. */
export interface LossWeights {
  readonly dice?: number | undefined;
  readonly focal?: number | undefined;
  readonly bce?: number | undefined;
  readonly crossEntropy?: number | undefined;
  /** Audio-visual matching, for TPAVI; see `matchingLoss`. */
  readonly matching?: number | undefined;
  /** The mask feature's own dice, for AVSegFormer; see `mixLoss`. */
  readonly mix?: number | undefined;
  /** The names of sounds and cells, for SeaVS with concepts; see `conceptLoss`. */
  readonly concepts?: number | undefined;
}

/** Ground truth of the frames that have, or may have, some. */
export interface Truth {
  /** `u8[N,H,W]`: 0 and 1, or class indices for the losses of AVSS. */
  readonly target: Value;
  /** `f32[N]`, 1 for a frame with ground truth, else 0; only the losses of AVSS, and auxiliary ones, use it. */
  readonly counts: Value;
  /** `i32[N]`: index of the clip's category among the model's concepts, -1 if it is not among them; for that loss. */
  readonly concept?: Value | undefined;
  /** Default: the frames are the whole batch. */
  readonly fractions?: BatchFractions | undefined;
}

/**
 * What part of the batch the frames are, where a batch is computed in parts: `f32[]` each. The losses of the parts add up
 * to the loss of the batch, whether it is a mean over all frames or over those that count.
 */
export interface BatchFractions {
  /** Fraction of all frames. */
  readonly frames: Value;
  /** Fraction of the frames that count. */
  readonly counted: Value;
}

/** The total that is minimized and the losses it is made of, unweighted, all scalars `f32[]`. */
export interface LossValues {
  readonly total: Value;
  readonly parts: ReadonlyMap<keyof LossWeights, Value>;
}

/** Binary cross-entropy per pixel, without overflow: log(1 + e^x) - x y.  f32[N,1,H,W] -> f32[N,1,H,W] */
function pixelCrossEntropy(logits: Value, target: Value): Value {
  return sub(softplus(logits), mul(logits, target));
}

/** Binary cross-entropy, mean over pixels. Shapes as in `diceLoss`. */
function bceLoss(logits: Value, target: Value): Value {
  return mean(pixelCrossEntropy(logits, target));
}

/** Focal loss (Lin et al. 2017) with alpha 0.25, gamma 2, mean over pixels. Shapes as in `diceLoss`. */
function focalLoss(logits: Value, target: Value): Value {
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
  return div(sum(mul(logLikelihood, counts)), mul(countOf(counts), -height * width));
}

/**
 * The weighted sum of the losses that `weights` names, of a whole batch or, with `fractions`, of a part of it.
 * @throws `RangeError` when no loss has a weight, or the model has no outputs for one
 */
export function lossOf(
  { logits, matching, maskFeature, concepts }: AvsOutputs,
  { target, counts, concept, fractions }: Truth,
  weights: LossWeights,
): LossValues {
  const parts = new Map<keyof LossWeights, Value>();
  const planes = (): Value =>
    cast(reshape(target, [dim(logits, 0), 1, dim(logits, 2), dim(logits, 3)]), "f32");
  const overFrames = (loss: Value): Value => (fractions ? mul(loss, fractions.frames) : loss);
  const overCounted = (loss: Value): Value => (fractions ? mul(loss, fractions.counted) : loss);
  if (weights.dice) parts.set("dice", overFrames(diceLoss(logits, planes())));
  if (weights.focal) parts.set("focal", overFrames(focalLoss(logits, planes())));
  if (weights.bce) parts.set("bce", overFrames(bceLoss(logits, planes())));
  if (weights.crossEntropy) {
    parts.set("crossEntropy", overCounted(crossEntropyLoss(logits, cast(target, "i32"), counts)));
  }
  if (weights.matching) {
    const loss = matchingLoss(logits, required(matching, "matching"), counts);
    parts.set("matching", sumsFrames(logits) ? loss : overCounted(loss));
  }
  if (weights.mix) {
    const sounding = cast(greater(planes(), 0), "f32");
    parts.set("mix", overCounted(mixLoss(required(maskFeature, "mix"), sounding, counts)));
  }
  if (weights.concepts) {
    const truth = { target: planes(), concept: required(concept, "concepts"), counts };
    parts.set("concepts", overCounted(conceptLoss(required(concepts, "concepts"), truth)));
  }
  const weighted = [...parts].map(([name, value]) => mul(value, weights[name] ?? 0));
  const [first, ...rest] = weighted;
  if (!first) throw new RangeError("losses: expected at least one with a weight above 0");
  return { total: rest.reduce((a, b) => add(a, b), first), parts };
}

function required<T>(value: T | undefined, loss: keyof LossWeights): T {
  if (value !== undefined) return value;
  throw new RangeError(`losses: the model has no outputs for the ${loss} loss`);
}
