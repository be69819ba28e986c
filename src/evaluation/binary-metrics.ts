/**
 * Metrics of the binary tasks (S4, MS3): the IoU and F-score of AVSBench's published evaluation, frame by
 * frame, and the tally that averages them over a batch, a clip, a category or a whole dataset.
 */

import * as z from "zod";
import { at, f32At, f64At } from "../arrays.js";
import { contourFscore } from "./contour-fscore.js";

/** Weight of precision against recall in every F-score of this field. */
export const BETA_SQUARED = 0.3;

/** Number of thresholds of the published F-score. */
const THRESHOLD_COUNT = 255;

/**
 * The published thresholds, `linspace(0, 1 - 1e-10, 255)` in single precision (where the end is 1),
 * ascending. A pixel is positive at threshold t when its probability is at least t.
 */
export const FSCORE_THRESHOLDS: Float64Array = Float64Array.from({ length: THRESHOLD_COUNT }, (_, i) => {
  const step = Math.fround(1 / (THRESHOLD_COUNT - 1));
  // Counted from the nearer end, as PyTorch does, so that the last threshold is exactly 1.
  const fromStart = i < THRESHOLD_COUNT / 2;
  return Math.fround(fromStart ? step * i : 1 - step * (THRESHOLD_COUNT - 1 - i));
});

/** The metrics of one frame. */
export interface BinaryFrameScore {
  /** Whether the truth has a pixel that sounds. */
  readonly hasObject: boolean;
  /** Published IoU: of the object, or of the background in a frame without object. */
  readonly iou: number;
  /** IoU of the object; 1 where neither truth nor prediction has one, 0 where only one of them has. */
  readonly regionJ: number;
  /** F-score of the outlines as in DAVIS. */
  readonly contourF: number;
  /** F-score of the mask at probability 0.5; `undefined` in a frame without object. */
  readonly fscoreAtHalf: number | undefined;
  /** F-scores at `FSCORE_THRESHOLDS`, `f64[255]`; `undefined` in a frame without object. */
  readonly fscores: Float64Array | undefined;
  /** Fraction of the frame's pixels that are marked. */
  readonly marked: number;
  /** Fraction of the pixels outside of the object that are marked; `undefined` where the object fills the frame. */
  readonly markedOutside: number | undefined;
}

/** F-score of counts of pixels; 0 where it is undefined, as published. */
export function fscoreOfCounts(hits: number, predicted: number, actual: number): number {
  if (hits === 0) return 0;
  const precision = hits / predicted;
  const recall = hits / actual;
  return ((1 + BETA_SQUARED) * precision * recall) / (BETA_SQUARED * precision + recall);
}

/** One frame's prediction and ground truth. */
export interface BinaryFrame {
  /** Probability that a pixel sounds, `f32[H*W]` in 0..1. */
  readonly probabilities: Float32Array;
  /** The predicted mask, `u8[H*W]` of 0 and 1. */
  readonly mask: Uint8Array;
  /** Ground truth, `u8[H*W]`, zero or not. */
  readonly truth: Uint8Array;
  /** W, in pixels. */
  readonly width: number;
}

/**
 * Scores one frame. The F-score at 255 thresholds takes one pass: a pixel is counted at the highest threshold that it
 * reaches, and running sums from the top give the counts of every threshold.
 */
export function scoreBinaryFrame({ probabilities, mask, truth, width }: BinaryFrame): BinaryFrameScore {
  const pixels = probabilities.length;
  if (truth.length !== pixels || mask.length !== pixels) {
    throw new RangeError(
      `binary metrics: ${pixels} probabilities, ${truth.length} truths, ${mask.length} mask pixels`,
    );
  }
  const reachedBy = new Float64Array(THRESHOLD_COUNT); // pixels whose highest threshold is i
  const objectReachedBy = new Float64Array(THRESHOLD_COUNT); // those of them that sound
  let predicted = 0;
  let actual = 0;
  let hits = 0;
  for (let i = 0; i < pixels; i++) {
    const probability = f32At(probabilities, i);
    const sounds = truth[i] === 0 ? 0 : 1;
    const marked = mask[i] === 0 ? 0 : 1;
    predicted += marked;
    actual += sounds;
    hits += marked & sounds;
    const t = highestThresholdReached(probability);
    reachedBy[t] = f64At(reachedBy, t) + 1;
    objectReachedBy[t] = f64At(objectReachedBy, t) + sounds;
  }
  const union = predicted + actual - hits;
  const hasObject = actual > 0;
  return {
    hasObject,
    // In a frame without object the union is `predicted`, and the background is all the rest.
    iou: (hasObject ? hits : pixels - union) / ((hasObject ? union : pixels) + 1e-7),
    regionJ: union === 0 ? 1 : hits / union,
    contourF: contourFscore(mask, truth, width),
    fscoreAtHalf: hasObject ? fscoreOfCounts(hits, predicted, actual) : undefined,
    fscores: hasObject ? fscoreCurve(reachedBy, objectReachedBy, actual) : undefined,
    marked: predicted / pixels,
    markedOutside: actual === pixels ? undefined : (predicted - hits) / (pixels - actual),
  };
}

/** Index of the highest threshold that is not above `probability` (in 0..1). */
function highestThresholdReached(probability: number): number {
  let t = Math.floor(probability * (THRESHOLD_COUNT - 1));
  // The thresholds are rounded to single precision, so the guess can be off by one.
  if (t + 1 < THRESHOLD_COUNT && at(FSCORE_THRESHOLDS, t + 1) <= probability) t++;
  else if (at(FSCORE_THRESHOLDS, t) > probability) t--;
  return t;
}

function fscoreCurve(reachedBy: Float64Array, objectReachedBy: Float64Array, actual: number): Float64Array {
  const curve = new Float64Array(THRESHOLD_COUNT);
  let predicted = 0;
  let hits = 0;
  for (let t = THRESHOLD_COUNT - 1; t >= 0; t--) {
    predicted += f64At(reachedBy, t);
    hits += f64At(objectReachedBy, t);
    curve[t] = fscoreOfCounts(hits, predicted, actual);
  }
  return curve;
}

/** What a `BinaryTally` holds, as JSON. */
export const binaryTallySchema = z
  .object({
    frames: z.number(),
    iou: z.number(),
    regionJ: z.number(),
    contourF: z.number(),
    framesWithObject: z.number(),
    fscoreAtHalf: z.number(),
    /** Sums of the F-scores per threshold; empty before the first frame with an object. */
    fscores: z.array(z.number()).readonly(),
    marked: z.number(),
    markedOutside: z.number(),
    framesWithOutside: z.number(),
  })
  .readonly();
/** What a `BinaryTally` holds. */
export type BinaryTallyState = z.infer<typeof binaryTallySchema>;

/** Running sums of frame scores: of one batch, one clip, one category or one dataset. */
export class BinaryTally {
  #frames = 0;
  #iou = 0;
  #regionJ = 0;
  #contourF = 0;
  #framesWithObject = 0;
  #fscoreAtHalf = 0;
  readonly #fscores = new Float64Array(THRESHOLD_COUNT);
  #marked = 0;
  #markedOutside = 0;
  #framesWithOutside = 0;

  /** Continues from a saved state, or starts empty. */
  constructor(state?: BinaryTallyState) {
    if (state === undefined) return;
    this.#frames = state.frames;
    this.#iou = state.iou;
    this.#regionJ = state.regionJ;
    this.#contourF = state.contourF;
    this.#framesWithObject = state.framesWithObject;
    this.#fscoreAtHalf = state.fscoreAtHalf;
    this.#fscores.set(state.fscores);
    this.#marked = state.marked;
    this.#markedOutside = state.markedOutside;
    this.#framesWithOutside = state.framesWithOutside;
  }

  /** Adds one frame. */
  add(score: BinaryFrameScore): void {
    this.#frames++;
    this.#iou += score.iou;
    this.#regionJ += score.regionJ;
    this.#contourF += score.contourF;
    this.#marked += score.marked;
    if (score.markedOutside !== undefined) {
      this.#markedOutside += score.markedOutside;
      this.#framesWithOutside++;
    }
    if (score.fscores === undefined) return;
    this.#framesWithObject++;
    this.#fscoreAtHalf += score.fscoreAtHalf ?? 0;
    for (let t = 0; t < THRESHOLD_COUNT; t++) {
      this.#fscores[t] = f64At(this.#fscores, t) + at(score.fscores, t);
    }
  }

  /** Frames added. */
  get frames(): number {
    return this.#frames;
  }

  /** Frames added whose truth has an object: those that the F-scores average. */
  get framesWithObject(): number {
    return this.#framesWithObject;
  }

  /** Mean published IoU over the frames; 0 without frames. */
  get miou(): number {
    return mean(this.#iou, this.#frames);
  }

  /** Mean IoU of the object over the frames (see `BinaryFrameScore.regionJ`). */
  get regionJ(): number {
    return mean(this.#regionJ, this.#frames);
  }

  /** Mean F-score of the outlines over the frames. */
  get contourF(): number {
    return mean(this.#contourF, this.#frames);
  }

  /** Mean F-score at probability 0.5 over the frames with an object. */
  get fscoreAtHalf(): number {
    return mean(this.#fscoreAtHalf, this.#framesWithObject);
  }

  /** Mean fraction of a frame's pixels that are marked. */
  get marked(): number {
    return mean(this.#marked, this.#frames);
  }

  /** Mean fraction of the pixels outside of the object that are marked. */
  get markedOutside(): number {
    return mean(this.#markedOutside, this.#framesWithOutside);
  }

  /**
   * The F-score as published: averaged per threshold over the frames with an object, then the maximum.
   * `fscore` is 0 when no frame had an object; `threshold` is the probability at which it is reached.
   */
  get best(): { readonly fscore: number; readonly threshold: number } {
    let best = 0;
    for (let t = 1; t < THRESHOLD_COUNT; t++) {
      if (f64At(this.#fscores, t) > at(this.#fscores, best)) best = t;
    }
    return {
      fscore: mean(at(this.#fscores, best), this.#framesWithObject),
      threshold: at(FSCORE_THRESHOLDS, best),
    };
  }

  /** The sums as JSON, from which `new BinaryTally(state)` continues exactly. */
  toJSON(): BinaryTallyState {
    return {
      frames: this.#frames,
      iou: this.#iou,
      regionJ: this.#regionJ,
      contourF: this.#contourF,
      framesWithObject: this.#framesWithObject,
      fscoreAtHalf: this.#fscoreAtHalf,
      fscores: this.#framesWithObject === 0 ? [] : [...this.#fscores],
      marked: this.#marked,
      markedOutside: this.#markedOutside,
      framesWithOutside: this.#framesWithOutside,
    };
  }
}

function mean(sum: number, count: number): number {
  return count === 0 ? 0 : sum / count;
}
