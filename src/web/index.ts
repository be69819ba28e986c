/**
 * avseg/web, the library for browsers: the same models and the same masks, over onnxruntime-web in a worker. The
 * package `onnxruntime-web` must be installed beside it, and `mediabunny` where `segmentVideo` is used.
 *
 * ```ts
 * import { loadModel, segmentFrames } from "avseg/web";
 *
 * const model = await loadModel({ checkpoint: "model.safetensors" });
 * for await (const { index, mask } of segmentFrames({ frames, audio }, model)) draw(index, mask);
 * await model.close();
 * ```
 * @module avseg/web
 */

export {
  AvsegError,
  CheckpointError,
  ConfigError,
  DatasetError,
  MediaError,
  OutOfMemoryError,
  OutputError,
} from "../errors.js";
export type { InferenceHints } from "../inference/infer-config.js";
export type { ClipBatch, Predictor } from "../inference/predictor.js";
export { fitExamples, logMelExamples, VGGISH_RATE_HZ } from "../media/log-mel.js";
export { type Image, imageSize, resizeBilinear, resizeNearest } from "../media/resize.js";
export { type Audio, encodeWav, readWav, type Samples, toMono } from "../media/wav.js";
export type { DecoderConfig } from "../models/decoder.js";
export type { MessengerConfig } from "../models/messenger.js";
export type { AvsModelConfig, Task } from "../models/model-config.js";
export type { PvtConfig } from "../models/pvt-v2.js";
export type { ResNetConfig } from "../models/resnet50.js";
export type { VggishConfig } from "../models/vggish.js";
export type { PerStage } from "../models/visual-encoder.js";
export type { WebRuntimeOptions as RuntimeOptions } from "../runtime/web/web-runtime.js";
export { type Box, classNameOf, type Mask, maskOf, type Region } from "../segment/mask.js";
export { type Color, overlayColor, paint } from "../segment/overlay-picture.js";
export { enlarge, interpolate, type ProbabilityMap, type RowVisitor } from "../segment/probability-map.js";
export {
  type FramesInput,
  type SegmentedFrame,
  type SegmentFramesOptions,
  segmentFrames,
} from "../segment/segment-frames.js";
export type { DataFor, DataOf, DType, Shape, Tensor, TensorOf } from "../tensor.js";
export {
  type EncoderFiles,
  type OpenModelOptions as LoadModelOptions,
  openModel as loadModel,
} from "./open-model.js";
export { segmentVideo } from "./segment-video.js";
export type { DownloadOptions, DownloadProgress, WebFile } from "./web-file.js";
