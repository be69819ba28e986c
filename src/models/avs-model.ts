/**
 * The whole model of "A simple baseline for parameter efficient audio-visual segmentation": frozen encoders,
 * a Messenger Block after each visual stage, and the decoder. State-dict keys as published.
 */

import { dim, mul, reshape, slice, type Value } from "../graph/index.js";
import { type ParameterSpec, type Pass, Scope, toMap } from "../nn/index.js";
import { decoder, type StageFeatures } from "./decoder.js";
import { messenger } from "./messenger.js";
import { type AvsModelConfig, modelConfigProblem } from "./model-config.js";
import { audioWidth, vggish } from "./vggish.js";
import { visualEncoder } from "./visual-encoder.js";

/** The parts of a model, named by their state-dict prefixes. */
export const parameterGroups = ["visual_encoder", "audio_encoder", "bridger", "decoder"] as const;
/** A part of a model. `bridger` holds the Messenger Blocks. */
export type ParameterGroup = (typeof parameterGroups)[number];

/** Inputs of a forward pass of N = B*T frames, the frames of a clip in a row. */
export interface AvsInputs {
  /** Normalised, `f32[N,3,H,W]`; see `normalizeFrames`. */
  readonly frames: Value;
  /** VGGish embeddings, `f32[N,128]`; see `AvsModel.embedAudio`. */
  readonly embedding: Value;
  /** `f32[N]`, 0 for padded frames; only AVSS uses it. */
  readonly frameMask?: Value | undefined;
  /**
   * Decodes every `decodeEvery`-th frame from the first on. Default: 1, all frames. Frames meet in the Messenger Blocks but
   * not in the decoder, so S4, which trains on the first frame of each clip, need not decode the others.
   */
  readonly decodeEvery?: number | undefined;
}

/** A model: its parameters and the function over them. */
export interface AvsModel {
  readonly config: AvsModelConfig;
  /** Everything its state dict holds, buffers included. */
  readonly specs: readonly ParameterSpec[];
  /** The symbolic parameters by key: what gradients are asked for. */
  readonly values: ReadonlyMap<string, Value>;
  /** log-mel `f32[N,1,96,64]` -> `f32[N,128]` */
  embedAudio(logMel: Value): Value;
  /** -> logits `f32[N,K,H,W]`, or of the decoded frames */
  forward(inputs: AvsInputs, pass: Pass): Value;
}

/** The part that a state-dict key belongs to. Throws `RangeError` for a foreign key. */
export function groupOf(key: string): ParameterGroup {
  const group = parameterGroups.find((g) => key.startsWith(`${g}.`));
  if (group === undefined)
    throw new RangeError(`model: "${key}" belongs to none of ${parameterGroups.join(", ")}`);
  return group;
}

/** Low-rank adapters are in the visual encoder and train although it is frozen. */
export function isAdapter(key: string): boolean {
  return key.endsWith(".lora_A") || key.endsWith(".lora_B");
}

/** Builds a model. Throws `RangeError` when the configuration is impossible. */
export function buildAvsModel(config: AvsModelConfig): AvsModel {
  const problem = modelConfigProblem(config);
  if (problem !== undefined) throw new RangeError(`model: ${problem.path.join(".")}: ${problem.message}`);
  const root = new Scope();
  const encoder = visualEncoder(root.at("visual_encoder"), config.visual);
  const { dims } = encoder;
  const audio = vggish(root.at("audio_encoder"), config.audio);
  // All that audio and visual exchange passes through few and small layers.
  const bridger = root.at("bridger").fullPrecision();
  const fusers = dims.map((channels, i) => messenger(bridger.at("Fusers").at(i), channels, config.messenger));
  const decode = decoder(root.at("decoder"), dims, config.classes.length, config.decoder);

  return {
    config,
    specs: root.specs(),
    values: root.values(),
    embedAudio: (logMel) => audio.embed(logMel),
    forward({ frames, embedding, frameMask, decodeEvery = 1 }, pass) {
      const batch = dim(frames, 0);
      const audioToken = reshape(embedding, [batch, 1, audioWidth]);
      const decoded = (x: Value): Value =>
        decodeEvery === 1 ? x : slice(x, [{ axis: 0, start: 0, end: batch, step: decodeEvery }]);
      // Padded frames count as empty: in the features that the decoder sees, and in the logits.
      const masked = (x: Value): Value => {
        if (frameMask === undefined || config.task !== "avss") return x;
        return mul(x, reshape(decoded(frameMask), [dim(x, 0), ...x.shape.slice(1).map(() => 1)]));
      };
      let map = encoder.stem(frames, pass);
      const features = fusers.map((fuse, i): StageFeatures => {
        const grid = encoder.stage(i, map, pass);
        const { audio: fusedAudio, visual: tokens } = fuse({ audio: audioToken, visual: grid.tokens }, pass);
        const fused = { ...grid, tokens };
        if (i + 1 < fusers.length) map = toMap(fused);
        return { audio: decoded(fusedAudio), visual: { ...grid, tokens: masked(decoded(tokens)) } };
      });
      return masked(decode(features, pass));
    },
  };
}

/** How many numbers a model's parameters hold, as published logs count them (buffers not counted). */
export interface ParameterCounts {
  readonly total: number;
  /** Messenger Blocks, decoder and adapters. */
  readonly trainable: number;
  readonly messengerBlocks: number;
  readonly decoder: number;
  readonly visualEncoder: number;
  readonly audioEncoder: number;
}

/** Counts a model's parameters with frozen encoders. */
export function countParameters({ specs }: Pick<AvsModel, "specs">): ParameterCounts {
  const count = (accept: (key: string) => boolean) =>
    specs
      .filter((s) => s.kind === "parameter" && accept(s.key))
      .reduce((n, s) => n + s.shape.reduce((a, b) => a * b, 1), 0);
  const of = (group: ParameterGroup) => count((key) => groupOf(key) === group);
  return {
    total: count(() => true),
    trainable: of("bridger") + of("decoder") + count(isAdapter),
    messengerBlocks: of("bridger"),
    decoder: of("decoder"),
    visualEncoder: of("visual_encoder"),
    audioEncoder: of("audio_encoder"),
  };
}
