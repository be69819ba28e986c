/**
 * avseg/web, the library for browsers: the same models and the same masks, over onnxruntime-web in a worker. The
 * package `onnxruntime-web` must be installed beside it, and `mediabunny` where videos are decoded.
 *
 * ```ts
 * import { openModel } from "avseg/web";
 *
 * const model = await openModel({ checkpoint: "model.safetensors" });
 * for await (const { index, mask } of model.segment(file)) draw(index, mask);
 * await model.close(); // or declare it with `await using`
 * ```
 * @module avseg/web
 */

// Models

export type { ClipBatch, Predictor } from "../inference/predictor.js";
export type { EncoderFiles } from "../inference/weight-sources.js";
export type { InferenceHints } from "../models/base-config.js";
export type { AvsModelConfig, Task } from "../models/model-config.js";
export type { WebRuntimeOptions as RuntimeOptions } from "../runtime/web/web-runtime.js";
export type { Model } from "../segment/model.js";
export { type OpenModelOptions, openModel } from "./open-model.js";
export type { DownloadOptions, DownloadProgress, WebFile } from "./web-file.js";

// Segmentation

export { type Box, type Mask, maskOf, paintMask, type Region } from "../segment/mask.js";
export { blend } from "../segment/probability-map.js";
export { type FramesInput, segmentFrames } from "../segment/segment-frames.js";
export type { SegmentedFrame, SegmentOptions, SegmentVideoOptions } from "../segment/step-stream.js";
export { maskToImageData } from "./mask-image.js";
export { segmentVideo } from "./segment-video.js";

// Pictures and sound

export { fitExamples, logMelExamples, VGGISH_RATE_HZ } from "../media/log-mel.js";
export { type ImageTensor, resizeBilinear } from "../media/resize.js";
export { encodeWav, readWav, type Sound, toMono } from "../media/wav.js";

// Tensors, errors, progress

export {
  AvsegError,
  CheckpointError,
  ConfigError,
  DatasetError,
  MediaError,
  OutOfMemoryError,
  OutputError,
} from "../errors.js";
export type { Progress } from "../progress.js";
export type { Tensor, TensorOf } from "../tensor.js";
