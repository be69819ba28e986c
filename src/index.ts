/**
 * avseg, the library for Node: find the pixels of whatever is making the sound. Nothing here prints, keeps global
 * state or ends the process; long operations take an `AbortSignal`.
 *
 * ```ts
 * import { loadModel, segmentVideo } from "avseg";
 *
 * const model = await loadModel({ checkpoint: "best.safetensors" });
 * for await (const { timeSeconds, mask } of segmentVideo("street.mp4", model)) {
 *   console.log(timeSeconds, mask.regions);
 * }
 * await model.close();
 * ```
 *
 * `avseg/web` is the same for browsers.
 * @module avseg
 */

export { type LoadedConfig, loadConfig } from "./config/load.js";
export type { Config, ModelConfig, TrainingConfig } from "./config/schema.js";
export { configFromObject } from "./config/validate.js";
export {
  type CheckOptions,
  checkDataset,
  type DatasetIssue,
  type DatasetReport,
  type IssueKind,
} from "./datasets/avsbench/check.js";
export type { ClipFiles } from "./datasets/avsbench/layout.js";
export type { AudioSource, ClipRequest } from "./datasets/avsbench/load-clip.js";
export { type OpenOptions, openDataset } from "./datasets/avsbench/open-dataset.js";
export {
  type PreparedDataset,
  type PrepareFailure,
  type PrepareOptions,
  prepareDataset,
} from "./datasets/avsbench/prepare.js";
export type { AvsDataset, Clip, DecodeClip, Split, Task } from "./datasets/clip.js";
export { type BatchOptions, ClipLoader, type LoaderOptions } from "./datasets/loader.js";
export {
  type ImportedDataset,
  type ImportOptions,
  importDataset,
  type UnusedFiles,
} from "./datasets/own/import.js";
export { isKind, type Kind, kinds, novelKinds } from "./datasets/sound-shapes/kinds.js";
export {
  type WriteOptions,
  type WrittenDataset,
  writeSoundShapes,
} from "./datasets/sound-shapes/write.js";
export {
  AvsegError,
  CheckpointError,
  ConfigError,
  DatasetError,
  DivergenceError,
  LockedError,
  MediaError,
  OutOfMemoryError,
  OutputError,
} from "./errors.js";
export * from "./evaluation/binary-metrics.js";
export type { BinaryScorerState } from "./evaluation/binary-scorer.js";
export { type EvaluateOptions, evaluate } from "./evaluation/evaluate.js";
export type {
  EvaluateClipsOptions,
  EvaluationProgress,
  EvaluationState,
  ScorerState,
} from "./evaluation/evaluate-clips.js";
export type { ResultBase } from "./evaluation/result.js";
export {
  type BinaryMetrics,
  type CategoryRow,
  type ClassRow,
  type ClipRow,
  type EvaluationResult,
  METRIC_NOTES,
  type MetricName,
  type MetricNote,
  namedMetrics,
  type Protocol,
  type SemanticMetrics,
} from "./evaluation/result.js";
export * from "./evaluation/semantic-metrics.js";
export type { SemanticScorerState } from "./evaluation/semantic-scorer.js";
export { withSwappedSounds } from "./evaluation/swap-sounds.js";
export {
  type ExportedModel,
  type ExportOptions,
  type ExportProgress,
  exportModel,
} from "./export/export-model.js";
export type { AudioForm, ExportForm, FramesForm } from "./export/form.js";
export type { Precision } from "./export/prepare.js";
export type { OnnxValue } from "./graph/onnx/emitter.js";
export type { InferenceHints } from "./inference/infer-config.js";
export type { EncoderFiles } from "./inference/load-model.js";
export type { ClipBatch, Predictor } from "./inference/predictor.js";
export type { WeightFile, WeightSources } from "./inference/weight-sources.js";
export { fitExamples, logMelExamples, VGGISH_RATE_HZ } from "./media/log-mel.js";
export { readRgb } from "./media/node/image-file.js";
export { readWavFile } from "./media/node/wav-file.js";
export { type Image, imageSize, resizeBilinear, resizeNearest } from "./media/resize.js";
export type {
  AudioTrack,
  Cancellable,
  OverlayOptions,
  StepFrame,
  VideoBackend,
  VideoInfo,
} from "./media/video.js";
export { type Audio, encodeWav, readWav, type Samples, toMono } from "./media/wav.js";
export type { ParameterCounts } from "./models/avs-model.js";
export type { DecoderConfig } from "./models/decoder.js";
export type { MessengerConfig } from "./models/messenger.js";
export type { AvsModelConfig } from "./models/model-config.js";
export type { PvtConfig } from "./models/pvt-v2.js";
export type { ResNetConfig } from "./models/resnet50.js";
export type { VggishConfig } from "./models/vggish.js";
export type { PerStage } from "./models/visual-encoder.js";
export type { Progress } from "./progress.js";
export type * from "./report/report.js";
export type { ReportParts } from "./report/run-evaluation.js";
export { type RunEvaluationOptions, runEvaluation } from "./report/run-evaluation.js";
export type { RuntimeOptions } from "./runtime/runtime.js";
export { type Box, classNameOf, type Mask, maskOf, type Region } from "./segment/mask.js";
export {
  type OpenModelOptions as LoadModelOptions,
  openModel as loadModel,
} from "./segment/node/open-model.js";
export { segmentVideo } from "./segment/node/segment-video.js";
export {
  type FrameRecord,
  type SegmentOptions,
  type SegmentProgress,
  type SegmentSummary,
  segmentVideo as segmentVideoToFolder,
} from "./segment/node/write-segmentation.js";
export { type Color, overlayColor, paint } from "./segment/overlay-picture.js";
export { enlarge, interpolate, type ProbabilityMap, type RowVisitor } from "./segment/probability-map.js";
export {
  type FramesInput,
  type SegmentedFrame,
  type SegmentFramesOptions,
  segmentFrames,
} from "./segment/segment-frames.js";
export type { DataFor, DataOf, DType, Shape, StateDict, Tensor, TensorOf } from "./tensor.js";
export type { Checkpoint } from "./training/checkpoint.js";
export { loadCheckpoint, readCheckpointInfo, saveCheckpoint } from "./training/checkpoint.js";
export {
  type OpenTrainingOptions,
  openTraining,
  type Training,
  type TrainingSummary,
} from "./training/open-training.js";
export type { Optimizer, Trainable } from "./training/optimizers.js";
export type { StepResult } from "./training/step.js";
export {
  type ClipSource,
  type ClipStep,
  type RunOptions,
  runFiles,
  type TrainableModel,
  Trainer,
  type TrainerEvent,
  type TrainerOptions,
  type TrainingResult,
} from "./training/trainer.js";
export type { ReadOptions } from "./weights/byte-source.js";
export type { EpochRecord, FrozenSource, RunProgress } from "./weights/checkpoint.js";
export { loadStateDict } from "./weights/node/load.js";
export { loadSafetensors, writeSafetensors } from "./weights/node/safetensors-file.js";
export type { SafetensorsWriteOptions } from "./weights/safetensors.js";
export type { LoadedStateDict, WeightFormat } from "./weights/state-dict.js";
export type { TorchFormat } from "./weights/torch/reader.js";
