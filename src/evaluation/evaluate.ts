/** Runs a model over a dataset and scores it, as published and as it should be. */
import type { Clip, Task } from "../datasets/clip.js";
import { toClipBatch } from "../datasets/clip-batch.js";
import { AvsegError, DatasetError } from "../errors.js";
import type { Predictor } from "../inference/predictor.js";
import { describe, sizeOf, type TensorOf } from "../tensor.js";
import { BinaryScorer, type BinaryScorerState } from "./binary-scorer.js";
import type { EvaluationResult } from "./result.js";
import type { ClipScorer } from "./scorer.js";
import { SemanticScorer, type SemanticScorerState } from "./semantic-scorer.js";

/** Saved sums of a task's scorer, as JSON. */
export type ScorerState = BinaryScorerState | SemanticScorerState;

/** Where an evaluation has got to: plain JSON, from which it goes on to the very same result. */
export interface EvaluationState {
  /** Clips scored so far; go on with the clip of this index. */
  readonly clips: number;
  readonly scores: ScorerState;
}

/** How far an evaluation is. */
export interface EvaluationProgress {
  /** Clips scored. */
  readonly done: number;
  /** Clips in all. */
  readonly total: number;
  /** The published mIoU so far. */
  readonly miou: number;
  /** The published F-score so far. */
  readonly fscore: number;
}

/** Options of `evaluate`. */
export interface EvaluateOptions {
  readonly predictor: Predictor;
  readonly task: Task;
  /** The clips in the dataset's order, in groups of any size, from clip `resumeFrom.clips` on. */
  readonly clips: AsyncIterable<readonly Clip[]>;
  /** Clips in all, those before `resumeFrom.clips` included. */
  readonly total: number;
  /** Clips per batch: the published binary figures are averages over batches. */
  readonly batchSize: number;
  /** Clips that the model is given at once; `batchSize` unless told, 1 for AVSS (whose logits are large). */
  readonly clipsPerRun?: number | undefined;
  /** Goes on from a state given to `onState`. */
  readonly resumeFrom?: EvaluationState | undefined;
  /** Called with the state so far after every `stateEvery` batches (8 unless told), and when aborted. */
  readonly onState?: ((state: EvaluationState) => Promise<void> | void) | undefined;
  readonly stateEvery?: number | undefined;
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
export async function evaluate(options: EvaluateOptions): Promise<EvaluationResult> {
  const { predictor, task, batchSize, total, resumeFrom, onState, onMasks, signal } = options;
  const stateEvery = options.stateEvery ?? 8;
  const clipsPerRun = options.clipsPerRun ?? (task === "avss" ? 1 : batchSize);
  if (batchSize < 1 || clipsPerRun < 1) throw new RangeError("evaluate: a batch holds at least one clip");
  const scorer = openScorer(task, predictor, resumeFrom?.scores);
  let done = resumeFrom?.clips ?? 0;
  let batches = 0;
  /** The state after the last whole batch, until it is given to `onState`. */
  let unsaved: EvaluationState | undefined;
  const save = async (): Promise<void> => {
    const state = unsaved;
    unsaved = undefined;
    if (state) await onState?.(state);
  };

  const scoreBatch = async (batch: readonly Clip[]): Promise<void> => {
    for (let start = 0; start < batch.length; start += clipsPerRun) {
      signal?.throwIfAborted();
      const group = batch.slice(start, start + clipsPerRun);
      const logits = await predict(predictor, task, group);
      for (const [i, clip] of group.entries()) {
        const size = logits.data.length / group.length;
        const own = logits.data.subarray(i * size, (i + 1) * size);
        const masks = emptyMasks(clip);
        requireFinite(own, clip);
        scorer.addClip(clip, own, masks.data);
        await onMasks?.(clip, masks);
      }
    }
    scorer.endBatch();
    done += batch.length;
    options.onProgress?.({ done, total, ...scorer.headline });
    if (onState) unsaved = { clips: done, scores: scorer.toJSON() };
    if (++batches % stateEvery === 0) await save();
  };

  let waiting: Clip[] = [];
  try {
    for await (const clips of options.clips) {
      for (const clip of clips) checkClip(clip, predictor, task);
      waiting.push(...clips);
      while (waiting.length >= batchSize) {
        await scoreBatch(waiting.slice(0, batchSize));
        waiting = waiting.slice(batchSize);
      }
    }
    signal?.throwIfAborted();
    if (waiting.length > 0) await scoreBatch(waiting);
  } catch (error) {
    if (signal?.aborted) await save();
    throw error;
  }
  if (done === 0) {
    throw new DatasetError("evaluation: expected at least one clip, found none", {
      hint: "check the split: its rows in the metadata table",
    });
  }

  return scorer.result(batchSize);
}

function openScorer(
  task: Task,
  predictor: Predictor,
  saved: ScorerState | undefined,
): ClipScorer<ScorerState> {
  if (task === "avss") {
    return new SemanticScorer(predictor.classes, saved?.kind === "semantic" ? saved : undefined);
  }
  return new BinaryScorer(task, saved?.kind === "binary" ? saved : undefined);
}

/** Logits of some clips, checked: `f32[B*T,K,H,W]`. */
async function predict(predictor: Predictor, task: Task, clips: readonly Clip[]): Promise<TensorOf<"f32">> {
  const logits = await predictor.predict(toClipBatch(clips));
  const classes = task === "avss" ? predictor.classes.length : 1;
  const side = predictor.imageSize;
  const expected = [clips.length * predictor.frameCount, classes, side, side];
  if (logits.shape.join() !== expected.join()) {
    throw new RangeError(`evaluate: expected logits f32[${expected.join(",")}], got ${describe(logits)}`);
  }
  return logits;
}

function checkClip(clip: Clip, predictor: Predictor, task: Task): void {
  const { frameCount, imageSize } = predictor;
  const require = (what: string, tensor: TensorOf<"u8" | "f32">, shape: readonly number[]): void => {
    if (tensor.shape.join() === shape.join() && tensor.data.length === sizeOf(shape)) return;
    throw new DatasetError(
      `clip ${clip.id}: expected ${what} ${tensor.dtype}[${shape.join(",")}] for this model, found ${describe(tensor)}`,
      { hint: "open the dataset with the image size and frame count of the checkpoint's configuration" },
    );
  };
  require("frames", clip.frames, [frameCount, imageSize, imageSize, 3]);
  require("log-mels", clip.logMel, [frameCount, 1, 96, 64]);
  require("masks", clip.masks, [clip.labelled.length, imageSize, imageSize]);
  require("the frame mask", clip.frameMask, [frameCount]);
  const classes = task === "avss" ? predictor.classes.length : 2;
  const largest = clip.masks.data.reduce((max, k) => Math.max(max, k), 0);
  if (largest < classes) return;
  throw new DatasetError(`clip ${clip.id}: expected mask values below ${classes}, found ${largest}`, {
    hint: "evaluate with a model trained on this dataset's classes",
  });
}

function emptyMasks(clip: Clip): TensorOf<"u8"> {
  const shape = clip.frames.shape.slice(0, 3);
  return { dtype: "u8", shape, data: new Uint8Array(sizeOf(shape)) };
}

function requireFinite(logits: Float32Array, clip: Clip): void {
  let difference = 0; // x - x is zero unless x is infinite or not a number
  for (const x of logits) difference += x - x;
  if (difference === 0) return;
  throw new AvsegError(`clip ${clip.id}: the model's logits are not finite numbers`, {
    hint: "the checkpoint holds such numbers or its training diverged; try an earlier one, or a lower learning rate",
  });
}
