/** What an exported model says about itself: documentation and metadata. */

import type { TrainingOrigin } from "../inference/predictor.js";
import { type AvsModelConfig, modelConfigToJson } from "../models/model-config.js";
import { frameNormalizationOf } from "../models/systems.js";
import type { WeightFile } from "../weights/checkpoint.js";
import type { ExportForm } from "./form.js";
import type { Precision } from "./prepare.js";

/** What is known of an exported model beside its graph. */
export interface ModelDescription {
  readonly config: AvsModelConfig;
  readonly form: ExportForm;
  readonly precision: Precision;
  /** The checkpoint and the encoders' files, by part. */
  readonly sources: Readonly<Record<string, WeightFile>>;
  /** What it was trained on, where the checkpoint says so. */
  readonly trainedOn?: TrainingOrigin | undefined;
}

const tasks = {
  s4: "binary masks of the object that sounds (one source)",
  ms3: "binary masks of the objects that sound (several sources)",
  avss: "a class per pixel for what sounds, class 0 being the background",
} as const;

/** Documentation of the model, in a few sentences. */
export function modelDoc({ config, form, precision }: ModelDescription): string {
  const { task, frameCount, imageSize } = config;
  return [
    `Audio-visual segmentation: ${tasks[task]}.`,
    `Takes ${form.clips} clip(s) of ${frameCount} one-second steps at ${imageSize} x ${imageSize} pixels, each with its sound.`,
    `Weights: ${precision}. See the documentation of inputs and outputs, and the metadata.`,
  ].join(" ");
}

/** Metadata of the model: text by key, lists and objects as JSON. */
export function modelMetadata(description: ModelDescription): Readonly<Record<string, string>> {
  const { config, form, precision, sources, trainedOn } = description;
  return {
    format: "avseg-onnx-1",
    task: config.task,
    classes: JSON.stringify(config.classes),
    clips: String(form.clips),
    frames_per_clip: String(config.frameCount),
    image_size: String(config.imageSize),
    frames: form.frames,
    normalization: JSON.stringify({
      inside: form.frames === "u8",
      scale: 1 / 255,
      ...frameNormalizationOf(config),
    }),
    audio: form.audio,
    sample_rate_hz: "16000",
    precision,
    sources: JSON.stringify(sources),
    ...(trainedOn === undefined ? {} : { trained_on: JSON.stringify(trainedOn) }),
    model: modelConfigToJson(config),
  };
}
