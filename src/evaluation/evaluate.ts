/** Evaluates a model on a dataset. */
import type { AvsDataset } from "../datasets/clip.js";
import { ClipLoader } from "../datasets/loader.js";
import type { Predictor } from "../inference/predictor.js";
import { type EvaluateClipsOptions, evaluateClips } from "./evaluate-clips.js";
import type { EvaluationResult } from "./result.js";

/** Options of `evaluate`. */
export interface EvaluateOptions extends Pick<EvaluateClipsOptions, "onMasks" | "onProgress" | "signal"> {
  /**
   * Clips per batch. Default: 4, as published. The published metrics of S4 and MS3 are averages over batches, so they
   * depend on it; the metrics per frame do not.
   */
  readonly batchSize?: number | undefined;
  /** Decoding threads. Default: by the number of cores. */
  readonly workers?: number | undefined;
}

/**
 * Runs a model over all clips of a dataset and computes every metric of its task. Throws `DatasetError` when a clip
 * does not fit the model or cannot be read, `AvsegError` when the model's logits are not finite, and the signal's reason
 * when it is aborted.
 *
 * @example
 * const dataset = await openDataset({ task: "s4", root: "Single-source", split: "test", imageSize: 224, frameCount: 5 });
 * const { summary } = await evaluate(model, dataset);
 * console.log(summary.miou);
 */
export async function evaluate(
  model: Predictor,
  dataset: AvsDataset,
  { batchSize = 4, workers, ...options }: EvaluateOptions = {},
): Promise<EvaluationResult> {
  const loader = new ClipLoader(dataset, { cacheBytes: 0, workers });
  try {
    return await evaluateClips({
      ...options,
      predictor: model,
      task: dataset.task,
      clips: loader.batches({ batchSize, signal: options.signal }),
      total: loader.length,
      batchSize,
    });
  } finally {
    await loader.close();
  }
}
