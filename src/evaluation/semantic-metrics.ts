/**
 * Metrics of the semantic task (AVSS). Two protocols that differ by ten points on the same masks: *per image*
 * (as published): IoU and F-score of each frame and class, averaged over the frames in which the class
 * occurs; and *pooled* (as later papers report): pixels of the whole dataset counted together, per class.
 */

import * as z from "zod";
import { at, f64At, u8At } from "../arrays.js";
import { fscoreOfCounts } from "./binary-metrics.js";

/** Pixels of one frame by class, each `f64[K]`. */
export interface ClassCounts {
  /** Pixels of the class in truth and prediction. */
  readonly hits: Float64Array;
  /** Pixels of the class in the prediction. */
  readonly predicted: Float64Array;
  /** Pixels of the class in the truth. */
  readonly actual: Float64Array;
}

/**
 * Counts one frame's pixels by class.
 * @param prediction `u8[H*W]` of class indices below `classCount`.
 * @param truth `u8[H*W]`, likewise. Throws `RangeError` on a class that is out of range.
 */
export function countClasses(prediction: Uint8Array, truth: Uint8Array, classCount: number): ClassCounts {
  if (prediction.length !== truth.length) {
    throw new RangeError(
      `semantic metrics: ${prediction.length} predicted pixels, ${truth.length} true ones`,
    );
  }
  const pairs = new Uint32Array(classCount * classCount); // by true and by predicted class
  for (let i = 0; i < truth.length; i++) {
    const p = u8At(prediction, i);
    const t = u8At(truth, i);
    if (p >= classCount || t >= classCount) {
      throw new RangeError(`semantic metrics: class ${Math.max(p, t)}, expected less than ${classCount}`);
    }
    pairs[t * classCount + p]! += 1;
  }
  const rows = Array.from({ length: classCount }, (_, t) =>
    pairs.subarray(t * classCount, (t + 1) * classCount),
  );
  const predicted = new Float64Array(classCount);
  for (const row of rows)
    for (let p = 0; p < classCount; p++) predicted[p] = f64At(predicted, p) + at(row, p);
  return {
    hits: Float64Array.from(rows, (row, t) => at(row, t)),
    predicted,
    actual: Float64Array.from(rows, (row) => row.reduce((sum, count) => sum + count, 0)),
  };
}

/** The sums that a `ClassTally` keeps for every class. */
type ClassSums = "iouSum" | "fscoreSum" | "framesOf" | "hits" | "predicted" | "actual";

/** What a `ClassTally` holds, as JSON; every list has one number per class. */
export const classTallySchema = z
  .object({
    frames: z.number(),
    iouSum: z.array(z.number()).readonly(),
    fscoreSum: z.array(z.number()).readonly(),
    framesOf: z.array(z.number()).readonly(),
    hits: z.array(z.number()).readonly(),
    predicted: z.array(z.number()).readonly(),
    actual: z.array(z.number()).readonly(),
    marked: z.number(),
    markedOutside: z.number(),
    framesWithOutside: z.number(),
  })
  .readonly();
/** What a `ClassTally` holds. */
export type ClassTallyState = z.infer<typeof classTallySchema>;

/** One class's metrics in a `ClassTally`; `undefined` where the class occurs nowhere. */
export interface ClassMetrics {
  /** Frames in which the class occurs, in truth or prediction. */
  readonly frames: number;
  /** Mean IoU over those frames. */
  readonly iouPerImage: number | undefined;
  /** Mean F-score over those frames. */
  readonly fscorePerImage: number | undefined;
  /** IoU of all pixels together. */
  readonly iouPooled: number | undefined;
  /** F-score of all pixels together. */
  readonly fscorePooled: number | undefined;
}

/** Running sums over frames, by class: of one clip, one category or one dataset. */
export class ClassTally {
  #frames = 0;
  /** Sum over frames of the class's IoU, `f64[K]`. */
  readonly iouSum: Float64Array;
  /** Sum over frames of the class's F-score, `f64[K]`. */
  readonly fscoreSum: Float64Array;
  /** Frames in which the class occurs, in truth or prediction, `f64[K]`. */
  readonly framesOf: Float64Array;
  readonly #hits: Float64Array;
  readonly #predicted: Float64Array;
  readonly #actual: Float64Array;
  #marked = 0;
  #markedOutside = 0;
  #framesWithOutside = 0;

  /** An empty tally of `classCount` classes, or one that continues from a saved state. */
  constructor(classCount: number, state?: ClassTallyState) {
    const filled = (name: ClassSums): Float64Array => {
      const values = new Float64Array(classCount);
      if (state !== undefined) values.set(state[name]);
      return values;
    };
    this.iouSum = filled("iouSum");
    this.fscoreSum = filled("fscoreSum");
    this.framesOf = filled("framesOf");
    this.#hits = filled("hits");
    this.#predicted = filled("predicted");
    this.#actual = filled("actual");
    if (state === undefined) return;
    this.#frames = state.frames;
    this.#marked = state.marked;
    this.#markedOutside = state.markedOutside;
    this.#framesWithOutside = state.framesWithOutside;
  }

  /** Frames added. */
  get frames(): number {
    return this.#frames;
  }

  /** Adds one frame. */
  add({ hits, predicted, actual }: ClassCounts): void {
    this.#frames++;
    const pixels = actual.reduce((sum, count) => sum + count, 0);
    const background = at(actual, 0);
    this.#marked += (pixels - at(predicted, 0)) / pixels;
    if (background > 0) {
      this.#markedOutside += (background - at(hits, 0)) / background;
      this.#framesWithOutside++;
    }
    for (let k = 0; k < this.framesOf.length; k++) {
      const [h, p, a] = [at(hits, k), at(predicted, k), at(actual, k)];
      const union = p + a - h;
      if (union === 0) continue;
      this.iouSum[k] = f64At(this.iouSum, k) + h / union;
      this.fscoreSum[k] = f64At(this.fscoreSum, k) + fscoreOfCounts(h, p, a);
      this.framesOf[k] = f64At(this.framesOf, k) + 1;
      this.#hits[k] = f64At(this.#hits, k) + h;
      this.#predicted[k] = f64At(this.#predicted, k) + p;
      this.#actual[k] = f64At(this.#actual, k) + a;
    }
  }

  /** Mean fraction of a frame's pixels that have another class than background. */
  get marked(): number {
    return this.#marked / Math.max(1, this.#frames);
  }

  /** Mean fraction of the background's pixels that have another class. */
  get markedOutside(): number {
    return this.#markedOutside / Math.max(1, this.#framesWithOutside);
  }

  /** The metrics of every class, by index. */
  get classes(): ClassMetrics[] {
    return Array.from(this.framesOf, (frames, k) => {
      if (frames === 0) {
        const none = undefined;
        return { frames, iouPerImage: none, fscorePerImage: none, iouPooled: none, fscorePooled: none };
      }
      const [h, p, a] = [at(this.#hits, k), at(this.#predicted, k), at(this.#actual, k)];
      return {
        frames,
        iouPerImage: at(this.iouSum, k) / frames,
        fscorePerImage: at(this.fscoreSum, k) / frames,
        iouPooled: h / (p + a - h),
        fscorePooled: fscoreOfCounts(h, p, a),
      };
    });
  }

  /** The sums as JSON, from which `new ClassTally(count, state)` continues exactly. */
  toJSON(): ClassTallyState {
    return {
      frames: this.#frames,
      iouSum: [...this.iouSum],
      fscoreSum: [...this.fscoreSum],
      framesOf: [...this.framesOf],
      hits: [...this.#hits],
      predicted: [...this.#predicted],
      actual: [...this.#actual],
      marked: this.#marked,
      markedOutside: this.#markedOutside,
      framesWithOutside: this.#framesWithOutside,
    };
  }
}

/** The per-class metrics that can be averaged. */
export type ClassMetricName = Exclude<keyof ClassMetrics, "frames">;

/** Mean over the given classes, those that occur nowhere counting as 0: the published average. */
export function meanOverAllClasses(classes: readonly ClassMetrics[], name: ClassMetricName): number {
  const sum = classes.reduce((total, metrics) => total + (metrics[name] ?? 0), 0);
  return classes.length === 0 ? 0 : sum / classes.length;
}

/** Mean over those of the given classes that occur somewhere, in truth or prediction; 0 if none does. */
export function meanOverOccurringClasses(classes: readonly ClassMetrics[], name: ClassMetricName): number {
  return meanOverAllClasses(
    classes.filter((metrics) => metrics.frames > 0),
    name,
  );
}
