/**
 * The model of "A Simple Baseline for Parameter Efficient Audio-Visual Segmentation": frozen encoders, a Messenger Block
 * after each visual stage, and the decoder. State-dict keys as published; the authors state no license.
 */
import * as z from "zod";
import { section } from "../fields.js";
import { dim, reshape, type Value } from "../graph/index.js";
import { linear, type Pass, Scope, type TokenGrid, toMap } from "../nn/index.js";
import { audioEncoder, audioSchema, embeddingWidth, inferAudio } from "./audio-encoder.js";
import type { AvsInputs, AvsModel } from "./avs-model.js";
import {
  baseShape,
  binaryClasses,
  type EncoderPrefixes,
  type InferenceHints,
  inferBase,
  type ModelConfigProblem,
  problemAt,
  publishedFrameCount,
  type Task,
} from "./base-config.js";
import { agreementInput, concepts, conceptsSchema } from "./concepts.js";
import { decoder, decoderSchema, type StageFeatures } from "./decoder.js";
import { everyFrame, realFrames } from "./frame-axis.js";
import { messenger, messengerSchema } from "./messenger.js";
import { type StateDictShapes, shapesBelow } from "./state-dict-shapes.js";
import { defineSystem, type Recipe } from "./system-definition.js";
import { audioWidth } from "./vggish.js";
import { encodeFrames, stageDims, type VisualConfig, visualEncoder } from "./visual-encoder.js";

/** A model of this system; its frame count is a multiple of `messenger.frames`. */
const seavsSchema = section({
  kind: z.literal("seavs"),
  ...baseShape,
  audio: audioSchema.prefault({}),
  messenger: messengerSchema.prefault({}),
  decoder: decoderSchema.prefault({}),
  concepts: conceptsSchema.prefault({}),
});
/** A model of this system. */
export type SeavsConfig = Readonly<z.infer<typeof seavsSchema>>;

/**
 * A published model: the task's frames and classes, and the form of the decoder that belongs to the encoder. `changes`
 * replaces parts of it.
 * @example publishedModel({ task: "s4", visual: pvtV2Config("pvt-v2-b5") })
 */
export function publishedModel({
  task,
  visual,
  classes = binaryClasses,
  ...changes
}: Partial<SeavsConfig> & { readonly task: Task; readonly visual: VisualConfig }): SeavsConfig {
  const decoder = { ...publishedDecoder(visual.kind), ...changes.decoder };
  const frameCount = publishedFrameCount[task];
  return seavsSchema.parse({ kind: "seavs", frameCount, ...changes, task, visual, classes, decoder });
}

/** The decoder of a published encoder: that of ResNet-50 works on fewer channels. */
function publishedDecoder(visual: string): Pick<SeavsConfig["decoder"], "project"> {
  return { project: visual === "resnet50" };
}

/** Checks the rules that span several keys. */
function seavsProblem(config: SeavsConfig): ModelConfigProblem | undefined {
  const { messenger, decoder, imageSize, frameCount } = config;
  if (frameCount % messenger.frames !== 0) {
    const text = `${frameCount} steps are not a multiple of messenger.frames (${messenger.frames})`;
    return problemAt("frameCount", text);
  }
  if (messenger.width % messenger.heads !== 0) {
    return problemAt("messenger.width", `${messenger.width} is not a multiple of ${messenger.heads} heads`);
  }
  // The embedding is added to the attended queries, which the published widths allow.
  if (messenger.width !== audioWidth) {
    return problemAt(
      "messenger.width",
      `${messenger.width} is not ${audioWidth}, the width of the embedding`,
    );
  }
  const fused = decoder.project ? [decoder.convDim] : stageDims(config.visual);
  const odd = fused.find((d) => d % decoder.heads !== 0);
  if (odd !== undefined) {
    return problemAt("decoder.heads", `${odd} channels are not a multiple of ${decoder.heads} heads`);
  }
  if (config.concepts.names.length > 0 && messenger.between) {
    return problemAt(
      "messenger.between",
      "true, but concepts are read where the encoder computes on its own: expected false",
    );
  }
  const { names, classes } = config.concepts;
  const nameless = Object.keys(classes).find((name) => !names.includes(name));
  if (nameless !== undefined) {
    return problemAt("concepts.classes", `${nameless} is not among concepts.names`);
  }
  if (Object.keys(classes).length > 0 && !hasClassifier(config.visual)) {
    const text = "the visual encoder has no classifier: expected model.visual.classifier: true";
    return problemAt("concepts.classes", text);
  }
  const tooLarge = decoder.reductions.findIndex((r, i) => r > imageSize / 2 ** (i + 2));
  if (tooLarge >= 0) {
    const text = `${decoder.reductions[tooLarge]} leaves no token of stage ${tooLarge + 1}`;
    return problemAt("decoder.reductions", text);
  }
  return undefined;
}

/** Whether an encoder names ImageNet's classes. */
function hasClassifier(visual: VisualConfig): boolean {
  return "classifier" in visual && visual.classifier;
}

/** The queries of the first Messenger Block. */
const queries = "bridger.Fusers.0.intermediate_queries.weight";

/** The model of a state dict with published keys; heads and reductions of the decoder are assumed as published. */
function inferSeavs(shapes: StateDictShapes, hints: InferenceHints): SeavsConfig {
  const base = inferBase(shapes, { logits: shapes.size("decoder.mask_features.weight"), encoders }, hints);
  const published = publishedModel(base);
  return {
    ...published,
    audio: inferAudio(shapesBelow(shapes, `${encoders.audio}.`)) ?? published.audio,
    messenger: { ...published.messenger, queries: shapes.size(queries), width: shapes.size(queries, 1) },
    decoder: {
      ...published.decoder,
      project: shapes.has("decoder.audio_proj_1.weight"),
      channel: shapes.has("decoder.fusion_block_0.channel_attn.atten.in_proj_weight"),
      convDim: shapes.size("decoder.layer_1.weight"),
    },
  };
}

/** State-dict prefixes of the encoders. */
const encoders: EncoderPrefixes = { visual: "visual_encoder", audio: "audio_encoder" };

/** Builds a model of a possible configuration. */
function buildSeavs(config: SeavsConfig): AvsModel {
  const root = new Scope();
  const encoder = visualEncoder(root.at(encoders.visual), config.visual);
  const { dims } = encoder;
  const embedAudio = audioEncoder(root.at(encoders.audio), config.audio, config.frameCount);
  // All that audio and visual exchange passes through few and small layers.
  const bridger = root.at("bridger").fullPrecision();
  const width = embeddingWidth(config.audio);
  const count = config.concepts.names.length;
  const named =
    count === 0
      ? undefined
      : concepts(bridger.at("concepts"), config.concepts, {
          width,
          channels: dims[3],
          classify: encoder.classify,
        });
  const agree = named && dims.map((channels, i) => agreementInput(bridger.at("agreement").at(i), channels));
  // Messenger Blocks take embeddings as wide as VGGish's; with concepts, they hear these only.
  const heard = named ? count : width;
  const narrow = heard === audioWidth ? undefined : linear(bridger.at("audio_proj"), heard, audioWidth);
  const fusers = dims.map((channels, i) => messenger(bridger.at("Fusers").at(i), channels, config.messenger));
  const decode = decoder(root.at("decoder"), { ...config.decoder, dims, classes: config.classes.length });

  const asToken = (heard: Value): Value =>
    reshape(narrow ? narrow(heard) : heard, [dim(heard, 0), 1, audioWidth]);
  /** The block of stage `i` applied to the stage's tokens. */
  const fuse = (i: number, audio: Value, grid: TokenGrid, pass: Pass): StageFeatures => {
    const { audio: message, visual: tokens } = required(fusers[i])({ audio, visual: grid.tokens }, pass);
    return { audio: message, visual: { ...grid, tokens } };
  };

  /** The features of all stages where each takes what the block before it changed. */
  function fuseBetween({ frames, embedding }: AvsInputs, pass: Pass): StageFeatures[] {
    const audio = asToken(embedding);
    let map = encoder.stem(frames, pass);
    return dims.map((_, i) => {
      const fused = fuse(i, audio, encoder.stage(i, map, pass), pass);
      if (i + 1 < dims.length) map = toMap(fused.visual);
      return fused;
    });
  }

  /** The features of all stages where the encoder computes what it would on its own. */
  function fuseBeside({ frames, embedding }: AvsInputs, pass: Pass) {
    const grids = encodeFrames(encoder, frames, pass);
    const names = named?.(embedding, required(grids.at(-1)), pass);
    const audio = asToken(names?.sound ?? embedding);
    const features = grids.map((grid, i) => {
      const fused = fuse(i, audio, grid, pass);
      return names ? { ...fused, visual: required(agree?.[i])(names.agreement, fused.visual) } : fused;
    });
    return { features, concepts: names?.outputs };
  }

  return {
    config,
    specs: root.specs(),
    values: root.values(),
    encoders,
    embedAudio,
    forward(inputs, pass) {
      const { frameMask, decodeEvery = 1 } = inputs;
      const decoded = (x: Value): Value => everyFrame(x, decodeEvery);
      // Padded frames count as empty: in the features that the decoder sees, and in the logits.
      const mask = config.task === "avss" ? frameMask && decoded(frameMask) : undefined;
      const masked = (x: Value): Value => realFrames(x, mask);
      const { features, concepts } = config.messenger.between
        ? { features: fuseBetween(inputs, pass), concepts: undefined }
        : fuseBeside(inputs, pass);
      const stages = features.map(({ audio, visual }) => ({
        audio: decoded(audio),
        visual: { ...visual, tokens: masked(decoded(visual.tokens)) },
      }));
      return {
        logits: masked(decode(stages, pass)),
        concepts: concepts && { sound: decoded(concepts.sound), cells: decoded(concepts.cells) },
      };
    },
  };
}

/** What a model of four stages has four of. */
function required<T>(value: T | undefined): T {
  if (value === undefined) throw new RangeError("seavs: a stage is missing");
  return value;
}

/** The published training (of ResNet-50 in MS3, with dice alone). */
function recipe(task: Task, visual: string): Recipe {
  const sections = { decoder: publishedDecoder(visual) };
  switch (task) {
    case "s4":
      return { epochs: 30, losses: { dice: 1 }, evaluateFrom: 0, sections };
    case "ms3": {
      const losses = visual === "resnet50" ? { dice: 1 } : { dice: 1, bce: 1 };
      return { epochs: 60, losses, evaluateFrom: 0, sections };
    }
    case "avss":
      return { epochs: 30, losses: { crossEntropy: 1 }, evaluateFrom: 10, sections };
  }
}

/** This library's own system. */
export const seavsSystem = defineSystem({
  title: "SeaVS",
  schema: seavsSchema,
  keys: {
    anchor: queries,
    visual: [encoders.visual],
    classifiers: ["decoder.mask_features"],
  },
  trainable: true,
  losses: { concepts: ["s4"] },
  recipe,
  problem: seavsProblem,
  build: buildSeavs,
  infer: inferSeavs,
});
