/** Scores clips of the binary tasks and keeps their tallies: overall, by batch, by category, by clip. */
import * as z from "zod";
import type { Task } from "../datasets/clip.js";
import { BinaryTally, binaryTallySchema, scoreBinaryFrame } from "./binary-metrics.js";
import type { PredictedClip } from "./predict-clips.js";
import {
  type BinaryMetrics,
  type CategoryRow,
  type ClipRow,
  type EvaluationResult,
  rowsSchema,
} from "./result.js";
import type { ClipScorer } from "./scorer.js";

/** Saved sums of a `BinaryScorer`. */
export const binaryScorerSchema = z
  .object({
    kind: z.literal("binary"),
    batches: z.number(),
    miouOverBatches: z.number(),
    fscoreOverBatches: z.number(),
    markedOverBatches: z.number(),
    overall: binaryTallySchema,
    ...rowsSchema(binaryTallySchema),
  })
  .readonly();
/** Saved sums of a `BinaryScorer`. */
export type BinaryScorerState = z.infer<typeof binaryScorerSchema>;

/** The running scores of a binary dataset, fed batch by batch. */
export class BinaryScorer implements ClipScorer<BinaryScorerState> {
  readonly #task: Exclude<Task, "avss">;
  #batches = 0;
  #miouOverBatches = 0;
  #fscoreOverBatches = 0;
  #markedOverBatches = 0;
  readonly #overall: BinaryTally;
  readonly #categories = new Map<string, { clips: number; tally: BinaryTally }>();
  readonly #clips: ClipRow[];
  #batch = new BinaryTally();

  /** Continues from a saved state, or starts empty. */
  constructor(task: Exclude<Task, "avss">, state?: BinaryScorerState) {
    this.#task = task;
    this.#overall = new BinaryTally(state?.overall);
    this.#clips = [...(state?.clips ?? [])];
    if (state === undefined) return;
    this.#batches = state.batches;
    this.#miouOverBatches = state.miouOverBatches;
    this.#fscoreOverBatches = state.fscoreOverBatches;
    this.#markedOverBatches = state.markedOverBatches;
    for (const { category, clips, tally } of state.categories) {
      this.#categories.set(category, { clips, tally: new BinaryTally(tally) });
    }
  }

  /** Scores one clip of the current batch. */
  addClip({ clip, masks, probabilities }: PredictedClip): void {
    if (probabilities === undefined) throw new RangeError("binary scorer: expected probabilities");
    const [frames = 1, height = 1, width = 1] = masks.shape;
    const pixels = height * width;
    const own = new BinaryTally();
    const category = this.#category(clip.category);
    category.clips++;
    for (let t = 0; t < frames; t++) {
      const m = clip.labeled.indexOf(t);
      if (m < 0) continue;
      const score = scoreBinaryFrame({
        probabilities: probabilities.data.subarray(t * pixels, (t + 1) * pixels),
        mask: masks.data.subarray(t * pixels, (t + 1) * pixels),
        truth: clip.masks.data.subarray(m * pixels, (m + 1) * pixels),
        width,
      });
      for (const tally of [own, category.tally, this.#batch, this.#overall]) tally.add(score);
    }
    this.#clips.push({ id: clip.id, category: clip.category, ...row(own) });
  }

  /** Ends a batch: the published metrics average over batches. */
  endBatch(): void {
    if (this.#batch.frames === 0) return;
    this.#batches++;
    this.#miouOverBatches += this.#batch.miou;
    this.#fscoreOverBatches += this.#batch.best.fscore;
    this.#markedOverBatches += this.#batch.marked;
    this.#batch = new BinaryTally();
  }

  /** The published metrics of the batches so far. */
  get summary(): { miou: number; fscore: number } {
    const batches = Math.max(1, this.#batches);
    return { miou: this.#miouOverBatches / batches, fscore: this.#fscoreOverBatches / batches };
  }

  /** Everything measured so far. */
  result(batchSize: number): EvaluationResult {
    return {
      task: this.#task,
      batchSize,
      summary: this.summary,
      metrics: this.#metrics,
      categories: [...this.#categories]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([category, { clips, tally }]): CategoryRow => ({ category, clips, ...row(tally) })),
      clips: [...this.#clips],
    };
  }

  /** Everything as JSON, at the end of a batch. */
  toJSON(): BinaryScorerState {
    return {
      kind: "binary",
      batches: this.#batches,
      miouOverBatches: this.#miouOverBatches,
      fscoreOverBatches: this.#fscoreOverBatches,
      markedOverBatches: this.#markedOverBatches,
      overall: this.#overall.toJSON(),
      categories: [...this.#categories].map(([category, { clips, tally }]) => ({
        category,
        clips,
        tally: tally.toJSON(),
      })),
      clips: [...this.#clips],
    };
  }

  get #metrics(): BinaryMetrics {
    const { miou, fscore } = this.summary;
    const all = this.#overall;
    const { fscore: fscorePerFrame, threshold } = all.best;
    return {
      miouPublishedPerBatch: miou,
      fscorePublishedPerBatch: fscore,
      jAndFPublished: (miou + fscore) / 2,
      miouPerFrame: all.miou,
      fscorePerFrame,
      jAndFPerFrame: (all.miou + fscorePerFrame) / 2,
      fscoreThreshold: threshold,
      fscoreAtHalf: all.fscoreAtHalf,
      regionJ: all.regionJ,
      contourF: all.contourF,
      regionJAndContourF: (all.regionJ + all.contourF) / 2,
      fprPublishedPerBatch: this.#markedOverBatches / Math.max(1, this.#batches),
      fprOutside: all.markedOutside,
      frames: all.frames,
      framesWithObject: all.framesWithObject,
    };
  }

  #category(name: string): { clips: number; tally: BinaryTally } {
    const known = this.#categories.get(name) ?? { clips: 0, tally: new BinaryTally() };
    this.#categories.set(name, known);
    return known;
  }
}

function row(tally: BinaryTally): { frames: number; miou: number; fscore: number | null } {
  return {
    frames: tally.frames,
    miou: tally.miou,
    fscore: tally.framesWithObject === 0 ? null : tally.best.fscore,
  };
}
