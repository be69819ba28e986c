/** The outside of an exported model: which inputs it takes and what it gives. */

import { input, sigmoid, softmax, type Value } from "../graph/index.js";
import type { AvsModel } from "../models/avs-model.js";
import { embeddingInput, forwardOf, framesInput } from "../models/forward.js";
import type { AvsModelConfig } from "../models/model-config.js";
import { soundFormOf } from "../models/systems.js";
import { Pass } from "../nn/index.js";
import { logMelOf, samplesOf } from "./audio-frontend.js";

/** `u8`: RGB bytes `u8[N,H,W,3]`. `f32`: normalized planes `f32[N,3,H,W]`. N = clips * T. */
export const framesForms = ["u8", "f32"] as const;
/** How frames are given. */
export type FramesForm = (typeof framesForms)[number];

/** `pcm`: 16 kHz mono `f32[clips,16000*T]`. `log-mel`: `f32[N,1,96,64]`. `embedding`: VGGish's, `f32[N,128]`. */
export const audioForms = ["pcm", "log-mel", "embedding"] as const;
/** How sound is given. */
export type AudioForm = (typeof audioForms)[number];

/** What the exported model takes. */
export interface ExportForm {
  /** Clips per run, fixed. */
  readonly clips: number;
  readonly frames: FramesForm;
  readonly audio: AudioForm;
}

/** Names of the inputs for sound. */
const audioInput = { pcm: "sound", "log-mel": "logMel", embedding: "embedding" } as const;

/** Outputs by name: `logits` and `probabilities`, `f32[N,K,H,W]` both. */
export function exportOutputs(
  model: AvsModel,
  form: ExportForm,
  pass: Pass = new Pass(),
): Readonly<Record<"logits" | "probabilities", Value>> {
  const { imageSize, task, frameCount } = model.config;
  const { clips, frames } = form;
  const { logits } = forwardOf(model, {
    clips,
    pass,
    frames:
      frames === "f32"
        ? input("frames", [clips * frameCount, 3, imageSize, imageSize])
        : framesInput(model, clips),
    embedding: embeddingOf(model, form),
  });
  return { logits, probabilities: task === "avss" ? softmax(logits, 1) : sigmoid(logits) };
}

/** How the sound of a system can be given, the default first. */
export function audioFormsOf(config: AvsModelConfig): readonly [AudioForm, ...AudioForm[]] {
  return soundFormOf(config) === "wave" ? ["pcm"] : ["log-mel", "pcm", "embedding"];
}

/** The embeddings of an exported model; `undefined` where they are made of the model's own form of sound. */
function embeddingOf(model: AvsModel, { clips, audio }: ExportForm): Value | undefined {
  const { frameCount } = model.config;
  if (soundFormOf(model.config) === "wave") return undefined;
  switch (audio) {
    case "pcm":
      return model.embedAudio(logMelOf(input(audioInput.pcm, [clips, samplesOf(frameCount)]), frameCount));
    case "log-mel":
      return undefined;
    case "embedding":
      return embeddingInput(model, clips);
  }
}

/** What each input and output is, for the documentation strings of the file. */
export function valueDocs(config: AvsModelConfig, form: ExportForm): Readonly<Record<string, string>> {
  const { frameCount, imageSize, classes, task } = config;
  const steps = `${form.clips * frameCount} frames: ${form.clips} clip(s) of T = ${frameCount} one-second steps, the frames of a clip in a row`;
  const sound = {
    pcm: `16 kHz mono samples in [-1,1] of each clip, ${frameCount} seconds from its first frame's second on`,
    "log-mel": "VGGish log-mel examples of 0.96 s (16 kHz, 64 bands), one per frame",
    embedding: "VGGish embeddings, one per frame",
  };
  return {
    frames:
      form.frames === "u8"
        ? `RGB, 0 to 255, ${imageSize} x ${imageSize}; ${steps}`
        : `RGB planes, (x / 255 - mean) / deviation with the encoder's mean and deviation (see the metadata), ${imageSize} x ${imageSize}; ${steps}`,
    [audioInput[form.audio]]: sound[form.audio],
    frameMask: "1 for real frames, 0 for frames that pad a shorter clip",
    logits:
      task === "avss"
        ? `one plane per class (${classes.length}); class 0 is the background; the largest wins`
        : "one plane; above 0 where the object that sounds is",
    probabilities: task === "avss" ? "softmax of the logits over the classes" : "sigmoid of the logits",
  };
}
