/** What `evaluate` needs of the scores of a task. */
import type { PredictedClip } from "./predict-clips.js";
import type { EvaluationResult } from "./result.js";

/** Keeps the running metrics; `State` is what is saved of them. */
export interface ClipScorer<State> {
  /** Scores one clip. */
  addClip(predicted: PredictedClip): void;
  /** Ends a batch of clips: the published binary metrics average over batches. */
  endBatch(): void;
  /** The published metrics so far. */
  readonly summary: { readonly miou: number; readonly fscore: number };
  /** Everything measured so far. */
  result(batchSize: number): EvaluationResult;
  /** The sums as JSON, at the end of a batch; a scorer made from them continues exactly. */
  toJSON(): State;
}
