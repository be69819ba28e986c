/** Runs a model over a dataset and scores it, as published and as it should be. */
import * as z from "zod";
import type { Clip, Task } from "../datasets/clip.js";
import { DatasetError } from "../errors.js";
import type { Predictor } from "../inference/predictor.js";
import type { CountedProgress } from "../progress.js";
import type { TensorOf } from "../tensor.js";
import { BinaryScorer, type BinaryScorerState, binaryScorerSchema } from "./binary-scorer.js";
import { predictClips } from "./predict-clips.js";
import type { EvaluationResult } from "./result.js";
import type { ClipScorer } from "./scorer.js";
import { SemanticScorer, type SemanticScorerState, semanticScorerSchema } from "./semantic-scorer.js";

/** Saved sums of a task's scorer, as JSON. */
export type ScorerState = BinaryScorerState | SemanticScorerState;

/** How far an evaluation has come, as plain JSON. Resumed from it, the evaluation ends with the same result. */
export const evaluationStateSchema = z
  .object({
    /** Clips scored so far: the index of the next one. */
    clips: z.number(),
    scores: z.discriminatedUnion("kind", [binaryScorerSchema.unwrap(), semanticScorerSchema.unwrap()]),
  })
  .readonly();
/** How far an evaluation has come. */
export type EvaluationState = z.infer<typeof evaluationStateSchema>;

/** How far an evaluation is, in clips. */
export interface EvaluationProgress extends CountedProgress {
  /** The published mIoU so far. */
  readonly miou: number;
  /** The published F-score so far. */
  readonly fscore: number;
}

/** Options of `evaluateClips`. */
export interface EvaluateClipsOptions {
  readonly predictor: Predictor;
  readonly task: Task;
  /** The clips in the dataset's order, in groups of any size, from clip `resumeFrom.clips` on. */
  readonly clips: AsyncIterable<readonly Clip[]>;
  /** Clips in all, those before `resumeFrom.clips` included. */
  readonly total: number;
  /** Clips per batch: the published binary metrics are averages over batches. */
  readonly batchSize: number;
  /** Resumes from a state that `onState` received. */
  readonly resumeFrom?: EvaluationState | undefined;
  /** Called with the state so far after every `stateEvery` batches (default: 8), at the end, and when aborted. */
  readonly onState?: ((state: EvaluationState) => Promise<void> | void) | undefined;
  readonly stateEvery?: number | undefined;
  /**
   * Merges the scores with those of other processes that evaluate other clips; there may be none here then. Default: the
   * clips are all there are.
   */
  readonly merge?: ((own: ScorerState) => Promise<ScorerState>) | undefined;
  /** Called with every clip's predicted masks, `u8[T,H,W]`: 0 or 1, or class indices (AVSS). */
  readonly onMasks?: ((clip: Clip, masks: TensorOf<"u8">) => Promise<void> | void) | undefined;
  readonly onProgress?: ((progress: EvaluationProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Evaluates a model on clips.
 *
 * Throws `DatasetError` when a clip does not fit the model or there are no clips, `AvsegError` when the
 * model's logits are not finite, and the signal's reason when it is aborted.
 */
export async function evaluateClips(options: EvaluateClipsOptions): Promise<EvaluationResult> {
  const { predictor, task, batchSize, total, resumeFrom, onState, onMasks, signal } = options;
  const stateEvery = options.stateEvery ?? 8;
  if (batchSize < 1) throw new RangeError("evaluate: a batch holds at least one clip");
  const scorer = openScorer(task, predictor.classes, resumeFrom?.scores);
  let done = resumeFrom?.clips ?? 0;
  let batches = 0;
  /** The state after the last whole batch, until it is given to `onState`. */
  let unsaved: EvaluationState | undefined;
  const save = async (): Promise<void> => {
    const state = unsaved;
    unsaved = undefined;
    if (state) await onState?.(state);
  };

  let inBatch = 0;
  const endBatch = async (): Promise<void> => {
    scorer.endBatch();
    done += inBatch;
    inBatch = 0;
    options.onProgress?.({ done, total, ...scorer.summary });
    if (onState) unsaved = { clips: done, scores: scorer.toJSON() };
    if (++batches % stateEvery === 0) await save();
  };

  try {
    for await (const predicted of predictClips(predictor, batchesOf(options.clips, batchSize), signal)) {
      scorer.addClip(predicted);
      await onMasks?.(predicted.clip, predicted.masks);
      if (++inBatch === batchSize) await endBatch();
    }
    if (inBatch > 0) await endBatch();
    signal?.throwIfAborted();
    await save();
  } catch (error) {
    if (signal?.aborted) await save();
    throw error;
  }
  if (options.merge) {
    return openScorer(task, predictor.classes, await options.merge(scorer.toJSON())).result(batchSize);
  }
  if (done === 0) {
    throw new DatasetError("evaluation: expected at least one clip, found none", {
      hint: "Check the rows of this split in the metadata table.",
    });
  }

  return scorer.result(batchSize);
}

/** Batches of `batchSize` clips, the last one of what is left, from groups of any size. */
async function* batchesOf(
  groups: AsyncIterable<readonly Clip[]>,
  batchSize: number,
): AsyncGenerator<readonly Clip[], void, undefined> {
  let waiting: Clip[] = [];
  for await (const clips of groups) {
    waiting.push(...clips);
    while (waiting.length >= batchSize) {
      yield waiting.slice(0, batchSize);
      waiting = waiting.slice(batchSize);
    }
  }
  if (waiting.length > 0) yield waiting;
}

/** The scorer of a task, empty or with the sums of an earlier one. */
export function openScorer(
  task: Task,
  classes: readonly string[],
  saved?: ScorerState,
): ClipScorer<ScorerState> {
  if (task === "avss") return new SemanticScorer(classes, saved?.kind === "semantic" ? saved : undefined);
  return new BinaryScorer(task, saved?.kind === "binary" ? saved : undefined);
}
