/** Why a training stops by itself: weights that are no longer finite, or too little memory. */
import type { Config } from "../config/schema.js";
import { DivergenceError, OutOfMemoryError } from "../errors.js";
import type { Tensor } from "../tensor.js";

/** The error of a training that diverged at a place, or with a weight. */
export function diverged(where: string, cause?: unknown): DivergenceError {
  return new DivergenceError(`training diverged: ${where}`, {
    cause,
    hint: "Lower the learning rate with --set training.optimizer.learningRate=RATE.",
  });
}

/**
 * Throws `DivergenceError` for a weight that is not finite: a checkpoint with it would replace one from which training
 * can resume.
 */
export function requireFinite(key: string, tensor: Tensor): void {
  if (tensor.dtype !== "f32") return;
  let difference = 0; // x - x is zero unless x is infinite or not a number
  for (const x of tensor.data) difference += x - x;
  if (difference !== 0) throw diverged(`${key} is not finite`);
}

/** The error of a step that does not fit in memory, with a hint at the setting that lowers its use. */
export function outOfMemory(
  cause: unknown,
  step: {
    /** Names the step in the message. */
    readonly where: string;
    /** Clips that were computed at once. */
    readonly clips: number;
    readonly config: Config;
    /** Whether the model trains batch statistics, so that whole batches are computed at once. */
    readonly wholeBatches: boolean;
  },
): OutOfMemoryError {
  const { where, clips, config, wholeBatches } = step;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const fewer = wholeBatches ? "data.batchSize" : "training.clipsAtOnce";
  const smaller =
    clips > 1
      ? `Compute fewer clips at once with --set ${fewer}=${Math.floor(clips / 2)}`
      : config.training.recompute
        ? "Lower the image size with --set data.imageSize=PIXELS"
        : "Keep fewer activations with --set training.recompute=true";
  const at = clips === 1 ? "1 clip" : `${clips} clips`;
  return new OutOfMemoryError(`${where}: out of memory with ${at} at once (${reason})`, {
    cause,
    hint: `${smaller}, or free memory.`,
  });
}
