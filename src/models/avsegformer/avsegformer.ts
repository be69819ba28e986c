/**
 * AVSegFormer (Gao et al., "AVSegFormer: Audio-Visual Segmentation with Transformer", AAAI 2024,
 * https://arxiv.org/abs/2307.01146). State-dict keys as in the published code (github.com/vvvb-github/AVSegFormer, which
 * states no license), VGGish and the visual encoder included.
 *
 * N frames, each on its own; C the width; S tokens of the three coarser stages; Q queries.
 */
import * as z from "zod";
import { count, fraction, integer, section } from "../../fields.js";
import { add, concat, dim, reshape, slice, type Value } from "../../graph/index.js";
import { linear, normalInit, type Pass, Scope, toMap, toTokens, xavierUniform } from "../../nn/index.js";
import type { AvsInputs, AvsModel, AvsOutputs } from "../avs-model.js";
import {
  baseShape,
  type EncoderPrefixes,
  type InferenceHints,
  inferBase,
  type ModelConfigProblem,
  problemAt,
  type Task,
} from "../base-config.js";
import { everyFrame, realFrames } from "../frame-axis.js";
import { sinePositions } from "../sine-positions.js";
import { countLayers, type StateDictShapes } from "../state-dict-shapes.js";
import { defineSystem, type Recipe } from "../system-definition.js";
import { audioWidth, vggish } from "../vggish.js";
import { encodeFrames, stageDims, visualEncoder } from "../visual-encoder.js";
import { convGroupNorm, maskFeature, maskHead, mixer } from "./mask-head.js";
import { queryGenerator } from "./query-generator.js";
import { transformer } from "./transformer.js";

/** Settings of AVSegFormer, with the published values as defaults. */
const avsegformerSettingsSchema = section({
  /** Channels of tokens, queries and maps; a multiple of `heads` and `groups`. */
  width: count(4096).default(256),
  /** Heads of every attention. */
  heads: count(256).default(8),
  queries: count(4096).default(300),
  /** Layers of the query generator. In files from before August 2023: 0, every query starts as the audio. */
  generatorLayers: integer(0, 64).default(6),
  generatorHidden: count(16384).default(1024),
  encoderLayers: count(64).default(6),
  decoderLayers: count(64).default(6),
  /** Points that each head of the deformable attention samples on each level. */
  points: count(64).default(4),
  /** Hidden width of the feed-forward blocks. */
  hidden: count(16384).default(2048),
  /** Hidden width of the head's convolutions. */
  headHidden: count(16384).default(2048),
  /** Groups of the group norms. */
  groups: count(4096).default(32),
  dropout: fraction.default(0.1),
});

/** An AVSegFormer. */
export const avsegformerSchema = section({
  kind: z.literal("avsegformer"),
  ...baseShape,
  avsegformer: avsegformerSettingsSchema.prefault({}),
});
/** An AVSegFormer. */
export type AvsegformerConfig = Readonly<z.infer<typeof avsegformerSchema>>;

/** Side of the published frames. */
const publishedImageSize = { s4: 512, ms3: 512, avss: 224 } as const satisfies Record<Task, number>;

/** State-dict prefixes of the encoders. */
const encoders: EncoderPrefixes = { visual: "backbone", audio: "vggish" };

/** Builds a model of a possible configuration. */
function buildAvsegformer(config: AvsegformerConfig): AvsModel {
  const sizes = config.avsegformer;
  const { width, heads, queries, groups } = sizes;
  const dims = stageDims(config.visual);
  const levels = dims.length - 1; // the finest stage is for the mask alone
  // Few and small layers decide what of the sound reaches the masks: exports in 8 bits leave them as they are.
  const root = new Scope();
  const encoder = visualEncoder(root.at(encoders.visual), config.visual);
  const audioEncoder = vggish(root.at(encoders.audio), config.audio);
  const audioProjection = linear(root.at("audio_proj").fullPrecision(), audioWidth, width);
  const head = root.at("head");
  const enter = dims.map((inputs, i) =>
    convGroupNorm(head.at("in_proj").at(i), { inputs, outputs: width, kernel: 1, groups }),
  );
  const levelEmbedding = head.param("level_embed", [levels, width], normalInit(1));
  const learned = head.at("learnable_query").param("weight", [queries, width], xavierUniform(width, queries));
  const generate = queryGenerator(head.at("query_generator").fullPrecision(), {
    ...sizes,
    layers: sizes.generatorLayers,
    hidden: sizes.generatorHidden,
  });
  const transform = transformer(head.at("transformer"), { ...sizes, levels });
  const join = maskFeature(head, width, groups);
  const mix = mixer(head.at("fusion_block").fullPrecision(), width, heads);
  const decode = maskHead(head, { ...sizes, hidden: sizes.headHidden, classes: config.classes.length });

  /** The four maps of the decoded frames, `[N,C,H,W]`. */
  const encode = (frames: Value, decoded: (x: Value) => Value, pass: Pass): Value[] => {
    // Frames do not meet, except in batch statistics.
    const { visual } = config;
    const together = visual.kind === "resnet50" && !visual.freezeBatchNorm && pass.training;
    if (!together) return encodeFrames(encoder, decoded(frames), pass).map(toMap);
    return encodeFrames(encoder, frames, pass).map((grid) => decoded(toMap(grid)));
  };

  const forward = ({ frames, embedding, frameMask, decodeEvery = 1 }: AvsInputs, pass: Pass): AvsOutputs => {
    const decoded = (x: Value): Value => everyFrame(x, decodeEvery);
    const mask = config.task === "avss" ? frameMask && decoded(frameMask) : undefined; // only AVSS pads clips
    const kept = (x: Value): Value => realFrames(x, mask);

    const projected = audioProjection(decoded(embedding)); // [N,C]
    const audio = reshape(projected, [dim(projected, 0), 1, width]);
    const stages = encode(frames, decoded, pass).map((map, i) => {
      const project = enter[i];
      if (project === undefined) throw new RangeError(`avsegformer: no projection of stage ${i}`);
      return project(kept(map)); // [N,C,H,W]
    });
    const [finest, ...coarser] = stages;
    if (finest === undefined) throw new RangeError("avsegformer: no stages");

    const grids = coarser.map(toTokens);
    const { memory, queries: results } = transform(
      {
        queries: add(generate(audio, pass), learned), // [N,Q,C]
        tokens: concat(
          grids.map(({ tokens }) => tokens),
          1,
        ), // [N,S,C]
        positions: concat(
          grids.map(({ height, width: columns }, i) => {
            const level = slice(levelEmbedding, [{ axis: 0, start: i, end: i + 1 }]); // [1,C]
            return add(sinePositions(height, columns, width), level);
          }),
          1,
        ), // [1,S,C]
        levels: grids,
      },
      pass,
    );
    const [first] = grids;
    if (first === undefined) throw new RangeError("avsegformer: no levels");
    const { height, width: columns } = first;
    const encoded = slice(memory, [{ axis: 1, start: 0, end: height * columns }]);
    const feature = mix(join(finest, toMap({ tokens: encoded, height, width: columns })), audio, pass);
    return { logits: kept(decode(results, feature, pass)), maskFeature: kept(feature) };
  };
  return {
    config,
    specs: root.specs(),
    values: root.values(),
    encoders,
    embedAudio: (logMel) => audioEncoder.embed(logMel),
    forward,
  };
}

/** Checks the rules that span several keys. */
function avsegformerProblem({ avsegformer }: AvsegformerConfig): ModelConfigProblem | undefined {
  const { width, heads, groups } = avsegformer;
  const multiple = (of: number, what: string) =>
    width % of === 0
      ? undefined
      : problemAt("avsegformer.width", `${width} is not a multiple of ${of}${what}`);
  return multiple(heads, " heads") ?? multiple(groups, " groups") ?? multiple(4, ", as sine positions need");
}

/** The model of a state dict with published keys; heads, groups and image size are assumed as published. */
function inferAvsegformer(shapes: StateDictShapes, hints: InferenceHints): AvsegformerConfig {
  const transformer = "head.transformer";
  const layers = (name: string) => countLayers(shapes, (k) => `${name}.layers.${k}.norm1.weight`);
  const generatorLayers = layers("head.query_generator");
  const published = avsegformerSettingsSchema.parse({});
  const levels = shapes.size("head.level_embed");
  const samples = shapes.size(`${transformer}.encoder.layers.0.self_attn.attention_weights.weight`);
  return {
    kind: "avsegformer",
    ...inferBase(
      shapes,
      { logits: shapes.size("head.fc.4.weight"), encoders, imageSize: publishedImageSize },
      hints,
    ),
    avsegformer: avsegformerSettingsSchema.parse({
      width: shapes.size("head.learnable_query.weight", 1),
      queries: shapes.size("head.learnable_query.weight"),
      generatorLayers,
      generatorHidden: shapes.shape("head.query_generator.layers.0.ffn.0.weight")?.[0],
      encoderLayers: layers(`${transformer}.encoder`),
      decoderLayers: layers(`${transformer}.decoder`),
      points: samples / (levels * published.heads),
      hidden: shapes.size(`${transformer}.encoder.layers.0.linear1.weight`),
      headHidden: shapes.size("head.mlp.layers.0.weight"),
    }),
  };
}

/** The published training. */
function recipe(task: Task): Recipe {
  const shared = { optimizer: { kind: "adamw", learningRate: 2e-5 }, imageSize: publishedImageSize[task] };
  const losses = { dice: 1, mix: 0.1 };
  switch (task) {
    case "s4":
      return { ...shared, epochs: 30, losses, evaluateFrom: 0, batchSize: 2, freezeEpochs: 5 };
    case "ms3":
      return { ...shared, epochs: 60, losses, evaluateFrom: 0, batchSize: 2, freezeEpochs: 10 };
    case "avss":
      return {
        ...shared,
        epochs: 30,
        losses: { crossEntropy: 1, mix: 0.1 },
        evaluateFrom: 10,
        evaluateEvery: 2,
        batchSize: 4,
        freezeEpochs: 0,
      };
  }
}

/** AVSegFormer as one of the systems. */
export const avsegformerSystem = defineSystem({
  title: "AVSegFormer",
  schema: avsegformerSchema,
  keys: {
    anchor: "head.transformer.encoder.layers.0.self_attn.sampling_offsets.weight",
    visual: [encoders.visual],
    classifiers: ["head.fc.4", "head.attn_fc.4"],
  },
  trainable: true,
  losses: { mix: ["s4", "ms3", "avss"] },
  recipe,
  problem: avsegformerProblem,
  build: buildAvsegformer,
  infer: inferAvsegformer,
});
