/**
 * DenseAV-sound as one of the systems (Hamilton et al., "Separating the Chirp from the Chat", CVPR 2024; code and weights
 * MIT, `mhamilton723/DenseAV-sound`). It has learned from videos without labels: any sound in any picture gives a heat map,
 * and `heatmap.ts` makes masks of it. It takes waves instead of log-mels.
 */

import * as z from "zod";
import { CheckpointError } from "../../errors.js";
import { section } from "../../fields.js";
import { dim, expand, matmul, reshape, resizeBicubic, type Value } from "../../graph/index.js";
import { Pass, toMap } from "../../nn/index.js";
import type { AvsInputs, AvsModel } from "../avs-model.js";
import {
  binaryClasses,
  clipShape,
  type InferenceHints,
  type ModelConfigProblem,
  problemAt,
} from "../base-config.js";
import { everyFrame } from "../frame-axis.js";
import { countLayers, type StateDictShapes, shapesBelow } from "../state-dict-shapes.js";
import { defineSystem } from "../system-definition.js";
import { buildDenseavEncoders, denseavSettingsSchema } from "./denseav.js";
import { heatOf, logitsOf, secondsOfSteps, shownHeat } from "./heatmap.js";

/** A DenseAV model. Published: frames of 224 pixels; the demonstration takes the first ten seconds of a video. */
export const denseavSchema = section({
  kind: z.literal("denseav"),
  ...clipShape,
  denseav: denseavSettingsSchema.prefault({}),
});
/** A DenseAV model. */
export type DenseavConfig = Readonly<z.infer<typeof denseavSchema>>;

/** Seconds of a clip: as many as the published demonstration shows at once. */
const publishedSeconds = 10;

/** Builds a model of a possible configuration. */
export function buildDenseav(config: DenseavConfig): AvsModel {
  const { frameCount, denseav } = config;
  const { specs, values, encodeFrames, encodeSound } = buildDenseavEncoders(denseav);
  const { heads, width } = denseav;
  return {
    config,
    specs,
    values,
    encoders: { visual: "image_model", audio: "audio_model" },
    // The mean features of every second: waves [B,S] -> [B*T,D]
    embedAudio(waves) {
      const steps = encodeSound(waves, new Pass()); // [B,S',D]
      const seconds = matmul(secondsOfSteps(frameCount, dim(steps, 1)), steps); // [B,T,D]
      return reshape(seconds, [dim(waves, 0) * frameCount, width]);
    },
    forward({ frames, embedding, frameMask, decodeEvery = 1 }: AvsInputs, pass) {
      const [batch = 0, , height = 0, side = 0] = frames.shape;
      const { tokens, ...grid } = encodeFrames(frames, pass);
      const heat = heatOf(tokens, reshape(embedding, [batch, 1, width]), heads); // [N,L]
      const map = toMap({ ...grid, tokens: reshape(heat, [batch, dim(heat, 1), 1]) }); // [N,1,H/8,W/8]
      const clips = batch / frameCount;
      const perClip = (x: Value): Value => reshape(x, [clips, frameCount * height * side]);
      const kept = frameMask && perClip(expand(reshape(frameMask, [batch, 1]), [batch, height * side]));
      const shown = shownHeat(perClip(resizeBicubic(map, { height, width: side })), kept);
      const logits = reshape(logitsOf(shown, kept), [batch, 1, height, side]);
      return {
        logits: everyFrame(logits, decodeEvery),
      };
    },
  };
}

/** Checks the rules that span several keys. */
export function denseavProblem({ task, imageSize, denseav }: DenseavConfig): ModelConfigProblem | undefined {
  const { width, heads, alignerHeads, frames, sound } = denseav;
  const multiple = (path: string, value: number, of: number) =>
    value % of === 0 ? undefined : problemAt(path, `${value} is not a multiple of ${of}`);
  if (task === "avss")
    return problemAt("task", "heat maps of DenseAV name no classes, so its masks are binary");
  return (
    multiple("denseav.width", width, heads) ??
    multiple("denseav.width", width, alignerHeads) ??
    multiple("denseav.frames.width", frames.width, frames.heads) ??
    multiple("denseav.sound.width", sound.width, sound.heads) ??
    multiple("denseav.sound.width", sound.width, sound.positionGroups) ??
    multiple("denseav.sound.positionKernel", sound.positionKernel, 2) ??
    multiple("imageSize", imageSize, frames.patch)
  );
}

/** Keys of `config.json` beside a checkpoint, with the values that are implemented. */
const published: Readonly<Record<string, readonly unknown[]>> = {
  image_model_type: ["dino8"],
  image_model_token_type: ["token"],
  image_aligner_type: ["image_linear"],
  audio_model_type: ["hubert"],
  audio_aligner_type: ["audio_sa_3_3_pool_2"],
  learn_audio_cls: [true],
  nonneg_sim: [false],
  sim_agg_type: ["misa"],
  sim_use_cls: [false],
  norm_vectors: [false],
  head_agg: ["max_elementwise"],
};

/** The number of heads by a `config.json`. Throws `CheckpointError` when it describes another form of the model. */
function headsOf(settings: Readonly<Record<string, unknown>>, file: string): number {
  for (const [key, values] of Object.entries(published)) {
    const value = settings[key];
    if (value === undefined || values.includes(value)) continue;
    throw new CheckpointError(
      `${file}: config.json beside it says ${key} is ${JSON.stringify(value)}, expected ${JSON.stringify(values[0])}`,
      { hint: "Only DenseAV-sound and models of its form are supported." },
    );
  }
  const heads = denseavSettingsSchema.shape.heads.safeParse(settings.sim_agg_heads);
  if (heads.success) return heads.data;
  throw new CheckpointError(
    `${file}: config.json beside it says sim_agg_heads is ${JSON.stringify(settings.sim_agg_heads)}, expected a count`,
    { hint: "Download config.json again." },
  );
}

/** The model of a state dict with published keys. Low-rank adapters show in its keys. */
function inferDenseav(shapes: StateDictShapes, hints: InferenceHints): DenseavConfig {
  const inner = (name: string) => {
    const adapted = `${name}.base_model.model.model.`;
    const plain = shapes.has(`${adapted}norm.weight`) || shapes.has(`${adapted}masked_spec_embed`);
    return shapesBelow(shapes, plain ? adapted : `${name}.model.`);
  };
  const [frames, sound] = [inner("image_model"), inner("audio_model")];
  const rank = (of: StateDictShapes, key: string) => of.shape(`${key}.lora_A.default.weight`)?.[0] ?? 0;
  const frameWidth = frames.size("pos_embed", 2);
  const soundWidth = sound.size("encoder.layer_norm.weight");
  const position = "encoder.pos_conv_embed.conv.parametrizations.weight.original1";
  const denseav = denseavSettingsSchema.parse({
    width: shapes.size("image_aligner.layer.weight"),
    heads: headsOf(hints.settings ?? {}, shapes.file),
    frames: {
      width: frameWidth,
      depth: countLayers(frames, (i) => `blocks.${i}.norm1.weight`),
      patch: frames.size("patch_embed.proj.weight", 2),
      side: Math.round(Math.sqrt(frames.size("pos_embed", 1) - 1)),
      loraRank: rank(frames, "blocks.0.attn.qkv"),
    },
    sound: {
      convWidth: sound.size("feature_extractor.conv_layers.0.conv.weight"),
      width: soundWidth,
      depth: countLayers(sound, (i) => `encoder.layers.${i}.layer_norm.weight`),
      hidden: sound.size("encoder.layers.0.feed_forward.intermediate_dense.weight"),
      positionKernel: sound.size(position, 2),
      positionGroups: soundWidth / sound.size(position, 1),
      loraRank: rank(sound, "encoder.layers.0.attention.q_proj"),
    },
  });
  return {
    kind: "denseav",
    task: hints.task ?? "s4",
    classes: hints.classes ?? binaryClasses,
    frameCount: hints.frameCount ?? publishedSeconds,
    imageSize: hints.imageSize ?? 224,
    denseav,
  };
}

/** Names that other versions of the libraries use: PyTorch before 2.0 for weight norm, peft from 0.6 on. */
function publishedKey(key: string): string {
  return key
    .replace(/\.pos_conv_embed\.conv\.weight_g$/, ".pos_conv_embed.conv.parametrizations.weight.original0")
    .replace(/\.pos_conv_embed\.conv\.weight_v$/, ".pos_conv_embed.conv.parametrizations.weight.original1")
    .replace(/\.(qkv|[qkv]_proj)\.base_layer\./, ".$1.");
}

/** DenseAV as one of the systems. It is evaluated, not trained: its losses need pairs of many videos. */
export const denseavSystem = defineSystem({
  title: "DenseAV",
  schema: denseavSchema,
  keys: { anchor: "audio_cls", visual: [], classifiers: [], rename: publishedKey },
  trainable: false,
  soundForm: "wave",
  masksFrames: true,
  settingsFile: "config.json",
  recipe: () => ({ epochs: 1, losses: { dice: 1 }, evaluateFrom: 0, batchSize: 1 }),
  problem: denseavProblem,
  build: buildDenseav,
  infer: inferDenseav,
});
