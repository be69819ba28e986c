/**
 * Scores clips of the semantic task and keeps their tallies: with and without padding, by category, by clip.
 */
import * as z from "zod";
import type { PredictedClip } from "./predict-clips.js";
import type { ClassRow, ClipRow, EvaluationResult, SemanticMetrics } from "./result.js";
import { rowsSchema, ScoreRows } from "./score-rows.js";
import type { ClipScorer } from "./scorer.js";
import {
  ClassTally,
  type ClassTallyState,
  classTallySchema,
  countClasses,
  meanOverAllClasses,
  meanOverOccurringClasses,
} from "./semantic-metrics.js";

/** Saved sums of a `SemanticScorer`. */
export const semanticScorerSchema = z
  .object({
    kind: z.literal("semantic"),
    withPadding: classTallySchema,
    real: classTallySchema,
    ...rowsSchema(classTallySchema),
  })
  .readonly();
/** Saved sums of a `SemanticScorer`. */
export type SemanticScorerState = z.infer<typeof semanticScorerSchema>;

/** The running scores of a semantic dataset, fed clip by clip. */
export class SemanticScorer implements ClipScorer<SemanticScorerState> {
  readonly #names: readonly string[];
  readonly #withPadding: ClassTally;
  readonly #real: ClassTally;
  readonly #rows: ScoreRows<ClassTally, ClassTallyState>;

  /** @param names class names by index. Continues from a saved state, or starts empty. */
  constructor(names: readonly string[], state?: SemanticScorerState) {
    this.#names = names;
    this.#withPadding = new ClassTally(names.length, state?.withPadding);
    this.#real = new ClassTally(names.length, state?.real);
    this.#rows = new ScoreRows({ create: (saved) => new ClassTally(names.length, saved), row }, state);
  }

  /** Scores one clip. A padded frame without ground truth is background throughout. */
  addClip({ clip, masks }: PredictedClip): void {
    const [frames = 1, height = 1, width = 1] = masks.shape;
    const pixels = height * width;
    this.#rows.addClip(clip, (tallies) => {
      for (let t = 0; t < frames; t++) {
        const predicted = masks.data.subarray(t * pixels, (t + 1) * pixels);
        const padded = clip.frameMask.data[t] === 0;
        const m = clip.labeled.indexOf(t);
        if (m < 0 && !padded) continue;
        const truth = m < 0 ? new Uint8Array(pixels) : clip.masks.data.subarray(m * pixels, (m + 1) * pixels);
        const counts = countClasses(predicted, truth, this.#names.length);
        this.#withPadding.add(counts);
        if (padded) continue;
        for (const tally of [...tallies, this.#real]) tally.add(counts);
      }
    });
  }

  /** Nothing ends with a batch: these metrics average over frames. */
  endBatch(): void {}

  /** The published metrics of the clips so far. */
  get summary(): { miou: number; fscore: number } {
    const { classes } = this.#withPadding;
    return {
      miou: meanOverAllClasses(classes, "iouPerImage"),
      fscore: meanOverAllClasses(classes, "fscorePerImage"),
    };
  }

  /** Everything measured so far. */
  result(batchSize: number): EvaluationResult {
    return {
      task: "avss",
      batchSize,
      summary: this.summary,
      metrics: this.#metrics,
      classes: this.#classes,
      ...this.#rows.rows,
    };
  }

  /** Everything as JSON. */
  toJSON(): SemanticScorerState {
    return {
      kind: "semantic",
      withPadding: this.#withPadding.toJSON(),
      real: this.#real.toJSON(),
      ...this.#rows.toJSON(),
    };
  }

  get #metrics(): SemanticMetrics {
    const padded = this.#withPadding.classes;
    const real = this.#real.classes;
    const objects = real.slice(1);
    return {
      miouPublished: meanOverAllClasses(padded, "iouPerImage"),
      fscorePublished: meanOverAllClasses(padded, "fscorePerImage"),
      miouPublishedNoBackground: meanOverAllClasses(padded.slice(0, -1), "iouPerImage"),
      fscorePublishedNoBackground: meanOverAllClasses(padded.slice(0, -1), "fscorePerImage"),
      miouPaddedNoBackground: meanOverAllClasses(padded.slice(1), "iouPerImage"),
      fscorePaddedNoBackground: meanOverAllClasses(padded.slice(1), "fscorePerImage"),
      miouPerImage: meanOverOccurringClasses(real, "iouPerImage"),
      fscorePerImage: meanOverOccurringClasses(real, "fscorePerImage"),
      miouPerImageNoBackground: meanOverOccurringClasses(objects, "iouPerImage"),
      fscorePerImageNoBackground: meanOverOccurringClasses(objects, "fscorePerImage"),
      miouPooled: meanOverOccurringClasses(real, "iouPooled"),
      fscorePooled: meanOverOccurringClasses(real, "fscorePooled"),
      miouPooledNoBackground: meanOverOccurringClasses(objects, "iouPooled"),
      fscorePooledNoBackground: meanOverOccurringClasses(objects, "fscorePooled"),
      fprPerImage: this.#real.marked,
      fprOutside: this.#real.markedOutside,
      frames: this.#real.frames,
      paddedFrames: this.#withPadding.frames - this.#real.frames,
      classesCounted: real.filter((metrics) => metrics.frames > 0).length,
    };
  }

  get #classes(): ClassRow[] {
    return this.#real.classes.map((metrics, index) => ({
      index,
      name: this.#names[index] ?? "",
      frames: metrics.frames,
      iouPerImage: metrics.iouPerImage ?? null,
      fscorePerImage: metrics.fscorePerImage ?? null,
      iouPooled: metrics.iouPooled ?? null,
      fscorePooled: metrics.fscorePooled ?? null,
    }));
  }
}

function row(tally: ClassTally): Pick<ClipRow, "frames" | "miou" | "fscore"> {
  const { classes } = tally;
  return {
    frames: tally.frames,
    miou: meanOverOccurringClasses(classes, "iouPerImage"),
    fscore: tally.frames === 0 ? null : meanOverOccurringClasses(classes, "fscorePerImage"),
  };
}
