/** Scores clips of the binary tasks and keeps their tallies: overall, by batch, by category, by clip. */
import * as z from "zod";
import type { Task } from "../datasets/clip.js";
import { BinaryTally, type BinaryTallyState, binaryTallySchema, scoreBinaryFrame } from "./binary-metrics.js";
import type { PredictedClip } from "./predict-clips.js";
import type { BinaryMetrics, ClipRow, EvaluationResult } from "./result.js";
import { rowsSchema, ScoreRows } from "./score-rows.js";
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
  readonly #rows: ScoreRows<BinaryTally, BinaryTallyState>;
  #batch = new BinaryTally();

  /** Continues from a saved state, or starts empty. */
  constructor(task: Exclude<Task, "avss">, state?: BinaryScorerState) {
    this.#task = task;
    this.#overall = new BinaryTally(state?.overall);
    this.#rows = new ScoreRows({ create: (saved) => new BinaryTally(saved), row }, state);
    if (state === undefined) return;
    this.#batches = state.batches;
    this.#miouOverBatches = state.miouOverBatches;
    this.#fscoreOverBatches = state.fscoreOverBatches;
    this.#markedOverBatches = state.markedOverBatches;
  }

  /** Scores one clip of the current batch. */
  addClip({ clip, masks, probabilities }: PredictedClip): void {
    if (probabilities === undefined) throw new RangeError("binary scorer: expected probabilities");
    const [frames = 1, height = 1, width = 1] = masks.shape;
    const pixels = height * width;
    this.#rows.addClip(clip, (tallies) => {
      for (let t = 0; t < frames; t++) {
        const m = clip.labeled.indexOf(t);
        if (m < 0) continue;
        const score = scoreBinaryFrame({
          probabilities: probabilities.data.subarray(t * pixels, (t + 1) * pixels),
          mask: masks.data.subarray(t * pixels, (t + 1) * pixels),
          truth: clip.masks.data.subarray(m * pixels, (m + 1) * pixels),
          width,
        });
        for (const tally of [...tallies, this.#batch, this.#overall]) tally.add(score);
      }
    });
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
      ...this.#rows.rows,
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
      ...this.#rows.toJSON(),
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
}

function row(tally: BinaryTally): Pick<ClipRow, "frames" | "miou" | "fscore"> {
  return {
    frames: tally.frames,
    miou: tally.miou,
    fscore: tally.framesWithObject === 0 ? null : tally.best.fscore,
  };
}
