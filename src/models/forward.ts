/** The model's forward pass from named inputs, as training, validation and inference feed them. */

import { input, type Value } from "../graph/index.js";
import { EXAMPLE_FRAMES, MEL_BANDS } from "../media/log-mel.js";
import type { Pass } from "../nn/index.js";
import type { AvsModel, AvsOutputs } from "./avs-model.js";
import { normalizeFrames } from "./normalize-frames.js";
import { embeddingWidthOf, frameNormalizationOf, soundFormOf, takesFrameMask } from "./systems.js";

/** Which pass, and variants of its inputs. */
export interface ForwardOptions {
  /** Clips in the batch, B. Default: 1. */
  readonly clips?: number | undefined;
  readonly pass: Pass;
  /** Normalized frames `f32[B*T,3,H,W]`. Default: those of the input `frames`, `u8[B*T,H,W,3]`. */
  readonly frames?: Value | undefined;
  /**
   * Embeddings `f32[B*T,D]`. Default: those of the input `logMel` `f32[B*T,1,96,64]`, or of models that take waves `sound`
   * `f32[B,16000*T]`.
   */
  readonly embedding?: Value | undefined;
  /** See `AvsInputs`. */
  readonly decodeEvery?: number | undefined;
}

/** Samples per second of the sounds that models take. */
export const soundRateHz = 16_000;

/** The outputs of a batch of clips; models that take it have the input `frameMask` `f32[B*T]` besides. */
export function forwardOf(model: AvsModel, options: ForwardOptions): AvsOutputs {
  const { clips = 1, pass, decodeEvery } = options;
  const frames = options.frames ?? framesInput(model, clips);
  const embedding = options.embedding ?? model.embedAudio(soundInput(model, clips));
  const frameMask = takesFrameMask(model.config)
    ? input("frameMask", [clips * model.config.frameCount])
    : undefined;
  return model.forward({ frames, embedding, frameMask, decodeEvery }, pass);
}

/** The input `frames` `u8[B*T,H,W,3]` of `clips` clips, normalized to `f32[B*T,3,H,W]`. */
export function framesInput({ config }: AvsModel, clips: number): Value {
  const { frameCount, imageSize } = config;
  const frames = input("frames", [clips * frameCount, imageSize, imageSize, 3], "u8");
  return normalizeFrames(frames, frameNormalizationOf(config));
}

/** The input for the sound of `clips` clips: `logMel` `f32[B*T,1,96,64]`, or of models that take waves `sound` `f32[B,16000*T]`. */
export function soundInput({ config }: AvsModel, clips: number): Value {
  const { frameCount } = config;
  return soundFormOf(config) === "wave"
    ? input("sound", [clips, frameCount * soundRateHz])
    : input("logMel", [clips * frameCount, 1, EXAMPLE_FRAMES, MEL_BANDS]);
}

/** The input `embedding` `f32[B*T,D]` of `clips` clips. */
export function embeddingInput({ config }: AvsModel, clips: number): Value {
  return input("embedding", [clips * config.frameCount, embeddingWidthOf(config)]);
}
