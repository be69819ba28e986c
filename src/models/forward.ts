/** The model's forward pass from named inputs, as training, validation and inference feed them. */

import { input } from "../graph/index.js";
import type { Pass } from "../nn/index.js";
import type { AvsModel, AvsOutputs } from "./avs-model.js";
import { normalizeFrames } from "./normalize-frames.js";
import { audioWidth } from "./vggish.js";
import { frameNormalization } from "./visual-encoder.js";

/** Variants of the pass. */
export interface ForwardOptions {
  /** The audio comes as embeddings instead of log-mels. */
  readonly embedded?: boolean | undefined;
  /** See `AvsInputs`. */
  readonly decodeEvery?: number | undefined;
}

/**
 * The outputs of `clips` clips from the inputs `frames` `u8[B*T,H,W,3]`, `logMel` `f32[B*T,1,96,64]` or `embedding`
 * `f32[B*T,128]`, and for AVSS `frameMask` `f32[B*T]`.
 */
export function forwardOf(
  model: AvsModel,
  clips: number,
  pass: Pass,
  options: ForwardOptions = {},
): AvsOutputs {
  const { frameCount, imageSize, visual } = model.config;
  const n = clips * frameCount;
  const frames = normalizeFrames(
    input("frames", [n, imageSize, imageSize, 3], "u8"),
    frameNormalization(visual),
  );
  const embedding = options.embedded
    ? input("embedding", [n, audioWidth])
    : model.embedAudio(input("logMel", [n, 1, 96, 64]));
  const frameMask = model.config.task === "avss" ? { frameMask: input("frameMask", [n]) } : {};
  return model.forward({ frames, embedding, ...frameMask, decodeEvery: options.decodeEvery ?? 1 }, pass);
}
