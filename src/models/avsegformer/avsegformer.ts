/**
 * AVSegFormer (Gao et al., "AVSegFormer: Audio-Visual Segmentation with Transformer", AAAI 2024). State-dict keys as in
 * the published code (vvvb-github/AVSegFormer, which states no license), VGGish and the visual encoder included.
 *
 * N frames, each on its own; C the width; S tokens of the three coarser stages; Q queries.
 */
import { z } from "zod";
import { count, fraction, integer, section } from "../../fields.js";
import { add, concat, dim, mul, reshape, slice, type Value } from "../../graph/index.js";
import {
  linear,
  normalInit,
  type ParameterSpec,
  type Pass,
  Scope,
  toMap,
  toTokens,
  xavierUniform,
} from "../../nn/index.js";
import type { AvsInputs } from "../avs-model.js";
import { avsModelSchema } from "../model-config.js";
import { sinePositions } from "../sine-positions.js";
import { audioWidth, vggish } from "../vggish.js";
import { encodeFrames, stageDims, visualEncoder } from "../visual-encoder.js";
import { convGroupNorm, maskFeature, maskHead, mixer } from "./mask-head.js";
import { queryGenerator } from "./query-generator.js";
import { transformer } from "./transformer.js";

const { task, classes, frameCount, imageSize, visual, audio } = avsModelSchema.shape;

/** An AVSegFormer, with the published values as defaults. */
export const avsegformerSchema = section({
  kind: z.literal("avsegformer"),
  task,
  classes,
  frameCount,
  /** Published: 512 for S4 and MS3, 224 for AVSS. */
  imageSize,
  visual,
  audio,
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
export type AvsegformerConfig = Readonly<z.infer<typeof avsegformerSchema>>;

/** What a pass gives: the auxiliary loss compares the mask feature with the mask. */
export interface AvsegformerOutputs {
  /** `[N,K,H,W]` of the decoded frames. */
  readonly logits: Value;
  /** `[N,C,H/4,W/4]` of the decoded frames, after the mixer. */
  readonly feature: Value;
}

/** A model: its parameters and the functions over them. */
export interface AvsegformerModel {
  readonly config: AvsegformerConfig;
  /** Everything its state dict holds, buffers included. */
  readonly specs: readonly ParameterSpec[];
  /** The symbolic parameters by key. */
  readonly values: ReadonlyMap<string, Value>;
  /** log-mel `f32[N,1,96,64]` -> `f32[N,128]` */
  embedAudio(logMel: Value): Value;
  /** -> logits `f32[N,K,H,W]`, or of the decoded frames */
  forward(inputs: AvsInputs, pass: Pass): Value;
  /** The same with what the auxiliary loss needs. */
  outputs(inputs: AvsInputs, pass: Pass): AvsegformerOutputs;
}

/** Builds a model. Throws `RangeError` when the configuration is impossible. */
export function buildAvsegformer(config: AvsegformerConfig): AvsegformerModel {
  const problem = avsegformerProblem(config);
  if (problem !== undefined) throw new RangeError(`avsegformer: ${problem}`);
  const { width, heads, queries, groups } = config;
  const dims = stageDims(config.visual);
  const levels = dims.length - 1; // the finest stage is for the mask alone
  const root = new Scope();
  const encoder = visualEncoder(root.at("backbone"), config.visual);
  const audioEncoder = vggish(root.at("vggish"), config.audio);
  const audioProjection = linear(root.at("audio_proj"), audioWidth, width);
  const head = root.at("head");
  const enter = dims.map((inputs, i) =>
    convGroupNorm(head.at("in_proj").at(i), { inputs, outputs: width, kernel: 1, groups }),
  );
  const levelEmbedding = head.param("level_embed", [levels, width], normalInit(1));
  const learned = head.at("learnable_query").param("weight", [queries, width], xavierUniform(width, queries));
  const generate = queryGenerator(head.at("query_generator"), {
    ...config,
    layers: config.generatorLayers,
    hidden: config.generatorHidden,
  });
  const transform = transformer(head.at("transformer"), { ...config, levels });
  const join = maskFeature(head, width, groups);
  const mix = mixer(head.at("fusion_block"), width, heads);
  const decode = maskHead(head, { ...config, hidden: config.headHidden, classes: config.classes.length });

  /** The four maps of the decoded frames, `[N,C,H,W]`. */
  const encode = (frames: Value, decoded: (x: Value) => Value, pass: Pass): Value[] => {
    // Frames do not meet, except in batch statistics.
    const { visual } = config;
    const together = visual.kind === "resnet50" && !visual.freezeBatchNorm && pass.training;
    if (!together) return encodeFrames(encoder, decoded(frames), pass).map(toMap);
    return encodeFrames(encoder, frames, pass).map((grid) => decoded(toMap(grid)));
  };

  const outputs = (
    { frames, embedding, frameMask, decodeEvery = 1 }: AvsInputs,
    pass: Pass,
  ): AvsegformerOutputs => {
    const end = dim(frames, 0);
    const decoded = (x: Value): Value =>
      decodeEvery === 1 ? x : slice(x, [{ axis: 0, start: 0, end, step: decodeEvery }]);
    const flag = config.task === "avss" ? frameMask && decoded(frameMask) : undefined; // only AVSS pads clips
    const kept = (x: Value): Value => (flag === undefined ? x : mul(x, reshape(flag, [dim(x, 0), 1, 1, 1])));

    const heard = audioProjection(decoded(embedding)); // [N,C]
    const batch = dim(heard, 0);
    const audio = reshape(heard, [batch, 1, width]);
    const stages = encode(frames, decoded, pass).map((map, i) => {
      const project = enter[i];
      if (project === undefined) throw new RangeError(`avsegformer: no projection of stage ${i}`);
      return project(kept(map)); // [N,C,H,W]
    });
    const [finest, ...coarser] = stages;
    if (finest === undefined) throw new RangeError("avsegformer: no stages");

    const grids = coarser.map(toTokens);
    const { memory, queries: asked } = transform(
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
    return { logits: kept(decode(asked, feature, pass)), feature: kept(feature) };
  };
  return {
    config,
    specs: root.specs(),
    values: root.values(),
    embedAudio: (logMel) => audioEncoder.embed(logMel),
    forward: (inputs, pass) => outputs(inputs, pass).logits,
    outputs,
  };
}

/** What makes `config` impossible to build; `undefined` if nothing does. */
function avsegformerProblem({ width, heads, groups, task, classes }: AvsegformerConfig): string | undefined {
  if (width % heads !== 0) return `width ${width} is not a multiple of ${heads} heads`;
  if (width % groups !== 0) return `width ${width} is not a multiple of ${groups} groups`;
  if (width % 4 !== 0) return `width ${width} is not a multiple of 4, as sine positions need`;
  if (task !== "avss" && classes.length !== 1)
    return `${classes.length} classes in a binary task, expected 1`;
  return undefined;
}
