/**
 * avseg, the library for Node: find the pixels of whatever is making the sound. Nothing here prints, keeps global
 * state or ends the process; long operations take an `AbortSignal`.
 *
 * ```ts
 * import { openModel } from "avseg";
 *
 * const model = await openModel({ checkpoint: "best.safetensors" });
 * for await (const { timeSeconds, mask } of model.segment("street.mp4")) {
 *   console.log(timeSeconds, mask.regions);
 * }
 * await model.close(); // or declare it with `await using`
 * ```
 *
 * `avseg/web` is the same for browsers; `avseg/engine` is the graph, its differentiation and its ONNX writer.
 * @module avseg
 */

// Models

export { type ListedModel, ModelCache, type ModelCacheOptions } from "./inference/node/model-cache.js";
export { type PulledModel, type PullModelOptions, pullModel } from "./inference/node/published-model.js";
export type { ClipBatch, Predictor } from "./inference/predictor.js";
export type { AvsModelConfig, Task } from "./models/model-config.js";
export type { RuntimeOptions } from "./runtime/runtime.js";
export type { Model } from "./segment/model.js";
export { type OpenModelOptions, openModel } from "./segment/node/open-model.js";

// Segmentation

export { type Mask, maskOf, paintMask, type Region } from "./segment/mask.js";
export { maskToPng } from "./segment/node/mask-png.js";
export { segmentVideo } from "./segment/node/segment-video.js";
export { writeSegmentation } from "./segment/node/write-segmentation.js";
export { blend } from "./segment/probability-map.js";
export { type FramesInput, segmentFrames } from "./segment/segment-frames.js";
export type { SegmentedFrame, SegmentOptions, SegmentVideoOptions } from "./segment/step-stream.js";

// Pictures and sound

export { fitExamples, logMelExamples, VGGISH_RATE_HZ } from "./media/log-mel.js";
export { readRgb } from "./media/node/image-file.js";
export { readWavFile } from "./media/node/wav-file.js";
export { type ImageTensor, resizeBilinear } from "./media/resize.js";
export { encodeWav, readWav, type Sound, toMono } from "./media/wav.js";

// Datasets

export { checkDataset } from "./datasets/avsbench/check.js";
export { openDataset } from "./datasets/avsbench/open-dataset.js";
export { prepareDataset } from "./datasets/avsbench/prepare.js";
export type { AvsDataset, Clip, Split } from "./datasets/clip.js";
export { importDataset } from "./datasets/own/import.js";
export { writeShards } from "./datasets/shards/write.js";
export { writeSoundShapes } from "./datasets/sound-shapes/write.js";

// Training

export { loadConfig } from "./config/load.js";
export type { Config } from "./config/schema.js";
export { configFromObject } from "./config/validate.js";
export { readCheckpointInfo } from "./training/checkpoint.js";
export { openTraining, type Training } from "./training/open-training.js";
export { runFiles } from "./training/run-files.js";
export type { TrainerEvent } from "./training/trainer-options.js";

// Evaluation

export { evaluate } from "./evaluation/evaluate.js";
export { type EvaluationResult, namedMetrics } from "./evaluation/result.js";
export { type SoundCondition, soundConditions, withSound } from "./evaluation/sound-conditions.js";
export { runEvaluation } from "./report/run-evaluation.js";

// Export and weight files

export { type ExportOptions, exportModel } from "./export/export-model.js";
export { loadStateDict } from "./weights/node/load.js";
export { loadSafetensors, writeSafetensors } from "./weights/node/safetensors-file.js";
export { PUBLISHED_MODELS } from "./weights/public/models.js";
export type { PublishedModel } from "./weights/public/public-weights.js";

// Tensors, errors, progress

export {
  AvsegError,
  CheckpointError,
  ConfigError,
  DatasetError,
  DistributedError,
  DivergenceError,
  LockedError,
  MediaError,
  OutOfMemoryError,
  OutputError,
} from "./errors.js";
export type { Progress } from "./progress.js";
export type { StateDict, Tensor, TensorOf } from "./tensor.js";
