/** What `evaluate` needs of the scores of a task. */
import type { Clip } from "../datasets/clip.js";
import type { EvaluationResult } from "./result.js";

/** Turns logits into masks and keeps the running figures; `State` is what is saved of them. */
export interface ClipScorer<State> {
  /**
   * Scores one clip.
   * @param logits `f32[T*K*H*W]`, all finite.
   * @param masks `u8[T*H*W]`, overwritten with the predicted masks: 0 or 1, or class indices.
   */
  addClip(clip: Clip, logits: Float32Array, masks: Uint8Array): void;
  /** Ends a batch of clips: the published binary figures average over batches. */
  endBatch(): void;
  /** The published figures so far. */
  readonly headline: { readonly miou: number; readonly fscore: number };
  /** Everything measured so far. */
  result(batchSize: number): EvaluationResult;
  /** The sums as JSON, at the end of a batch; a scorer made from them goes on exactly. */
  toJSON(): State;
}
