/** The cases of TPAVI and AVSegFormer, with their values on the way. */
import { add, dim, expand, mul, relu, reshape, transpose, type Value } from "../../src/graph/index.js";
import { type AvsModel, buildAvsModel } from "../../src/models/avs-model.js";
import { sinePositions } from "../../src/models/sine-positions.js";
import { encodeFrames, visualEncoder } from "../../src/models/visual-encoder.js";
import { Pass, Scope, type TokenGrid, toMap } from "../../src/nn/index.js";
import { f32, sizeOf, type Tensor } from "../../src/tensor.js";
import { seededInput } from "../../test/support.js";
import { inferredConfig, inputOf, numbered, type ZooCase } from "./cases.js";
import { type Modules, modulesOf } from "./modules.js";

/** Frames that a block of TPAVI joins. */
const groupSize = 5;

/** A case of TPAVI or AVSegFormer: `s4_res50_vv` attends to frames too, `s4_pvt2_512` has two frames of 512 pixels. */
export async function baselineCase(zoo: string, system: string, name: string): Promise<ZooCase> {
  const isLarge = name.endsWith("_512");
  const variant = name.replace(/_(512|vv)$/, "");
  const config = await inferredConfig(zoo, { system, variant, imageSize: isLarge ? 512 : 224 });
  if (config.kind !== "tpavi" && config.kind !== "avsegformer")
    throw new RangeError(`${system}: ${config.kind}`);
  const model = buildAvsModel(
    config.kind === "tpavi" && name.endsWith("_vv")
      ? { ...config, tpavi: { ...config.tpavi, attendVisual: true } }
      : config,
  );
  const isAvss = config.task === "avss";
  const count = isAvss ? 10 : isLarge ? 2 : 5;
  const id = isAvss ? "avss" : isLarge ? "s4512" : "s4";
  const feeds: Record<string, Tensor> = {
    frames: seededInput(`${id}_frames`, [count, 3, config.imageSize, config.imageSize], 2),
    logMel: seededInput(`${id}_log_mel`, [count, 1, 96, 64], 3),
    ...(isAvss && { keep: f32([1, 1, 1, 1, 1, 1, 1, 0, 0, 0], [count]) }),
  };
  const keep = feeds.keep && inputOf(feeds, "keep");
  const [frames, embedding] = [inputOf(feeds, "frames"), model.embedAudio(inputOf(feeds, "logMel"))];
  const forward = (pass: Pass) => model.forward({ frames, embedding, frameMask: keep }, pass);
  const pass = new Pass();
  const { logits, matching, maskFeature } = forward(pass);
  const encoder = visualEncoder(new Scope().at(model.encoders.visual), config.visual);
  const stages = encodeFrames(encoder, frames, pass);
  const grouped = matching?.audio.map((audio) => audio && reshape(audio, [count / groupSize, groupSize, -1]));
  const inner = system === "tpavi" ? innerTpavi : innerAvsegformer;
  return {
    files: [`${system}/${name}.safetensors`],
    feeds,
    outputs: {
      logits,
      // TPAVI's own code applies the flag of AVSS where it makes the embedding.
      audio: keep && system === "tpavi" ? mul(embedding, reshape(keep, [count, 1])) : embedding,
      ...numbered("stage", stages.map(toMap)),
      ...numbered("returned_map", matching?.maps ?? []),
      ...numbered("tpavi", grouped ?? [], "_audio"),
      ...(maskFeature && { mask_feature: maskFeature }),
      ...inner({
        model,
        frames: count,
        stages,
        fused: modulesOf([logits]),
        published: modulesOf([forward(new Pass({ fused: false })).logits]),
      }),
    },
    // Maps of padded frames are nearly constant, and their group norms magnify rounding. Nothing of them is shown.
    tolerance: (key) => (isAvss && /^(out_conv|mixer_gate|mlp|fc0)/.test(key) ? 5e-4 : 1e-4),
  };
}

interface InnerParts {
  readonly model: AvsModel;
  /** How many frames the clip has. */
  readonly frames: number;
  readonly stages: readonly TokenGrid[];
  /** Modules as they run, and in the published order. */
  readonly fused: Modules;
  readonly published: Modules;
}

/** What the modules of TPAVI give. The block of the coarsest stage averages the frames before `g`, which is taken as published. */
function innerTpavi({ frames, stages, fused, published }: InnerParts): Record<string, Value> {
  const outputs: Record<string, Value> = {};
  for (const [i, { height, width }] of stages.entries()) {
    const stage = i + 1;
    /** Tokens of groups, of every pixel or one a frame -> `[G,C,T,H,W]`. */
    const volume = (tokens: Value): Value => {
      const channels = dim(tokens, -1);
      const groups = frames / groupSize;
      const rows = sizeOf(tokens.shape) / (groups * groupSize * channels);
      const framewise = reshape(tokens, [groups, groupSize, rows, channels]);
      const full = expand(framewise, [groups, groupSize, height * width, channels]);
      return transpose(reshape(full, [groups, groupSize, height, width, channels]), [0, 4, 1, 2, 3]);
    };
    const block = `tpavi_b${stage}`;
    outputs[`conv${stage}`] = [0, 1, 2, 3]
      .map((k) => fused.output(`conv${stage}.conv2d_list.${k}`))
      .reduce((a, b) => add(a, b));
    outputs[`tpavi${stage}`] = volume(fused.output(`${block}.norm_layer`));
    outputs[`path${stage}`] = fused.next(fused.output(`path${stage}.resConfUnit2.conv2`), "Resize");
    if (stage < stages.length) continue;
    for (const part of ["theta", "phi", "W_z"]) {
      outputs[`tpavi${stage}_${part}`] = volume(fused.output(`${block}.${part}`));
    }
    outputs[`tpavi${stage}_g`] = volume(published.output(`${block}.g`));
  }
  for (const i of [0, 2]) outputs[`output_conv${i}`] = fused.output(`output_conv.${i}`);
  return outputs;
}

/** What the modules of AVSegFormer give, before the flag of AVSS. */
function innerAvsegformer({ model, frames, stages, fused }: InnerParts): Record<string, Value> {
  const { config } = model;
  if (config.kind !== "avsegformer") throw new RangeError(`expected AVSegFormer, got ${config.kind}`);
  const { width, queries, generatorLayers, encoderLayers, decoderLayers } = config.avsegformer;
  const head = (scope: string): Value => fused.output(`head.${scope}`);
  /** The output of a module over tokens, `[N,S,C]`. */
  const tokens = (scope: string): Value => {
    const value = head(`transformer.${scope}`);
    return reshape(value, [frames, -1, dim(value, -1)]);
  };
  /** The output of a module over queries, in full where all frames or all queries have the same. */
  const query = (scope: string): Value => {
    const value = head(`query_generator.layers.${scope}`);
    const rows = sizeOf(value.shape) / width;
    const framewise = reshape(value, rows === queries ? [1, queries, width] : [frames, -1, width]);
    return expand(framewise, [frames, queries, width]);
  };
  const layers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  const outputs: Record<string, Value> = {
    audio_proj: reshape(fused.output("audio_proj"), [frames, 1, width]),
    ...numbered(
      "in_proj",
      stages.map((_, i) => head(`in_proj.${i}`)),
    ),
    ...numbered(
      "positions",
      stages
        .slice(1)
        .map(({ height, width: columns }) =>
          toMap({ tokens: sinePositions(height, columns, width), height, width: columns }),
        ),
    ),
    queries_0_self: query("0.self_attn"),
    queries_0_cross: query("0.cross_attn"),
    encoder_0_value: tokens("encoder.layers.0.self_attn.value_proj"),
    encoder_0_offsets: tokens("encoder.layers.0.self_attn.sampling_offsets"),
    encoder_0_weights: tokens("encoder.layers.0.self_attn.attention_weights"),
    encoder_0_attention: tokens("encoder.layers.0.self_attn"),
    decoder_0_self: tokens("decoder.layers.0.self_attn"),
    decoder_0_cross: tokens("decoder.layers.0.cross_attn"),
    lateral: head("lateral_conv"),
    out_conv: relu(head("out_conv")),
    mixer_gate_before_sigmoid: reshape(head("fusion_block"), [frames, 1, width]),
    mlp: head("mlp"),
    fc0: head("fc.0"),
    fc2: head("fc.2"),
  };
  for (const i of layers(generatorLayers)) outputs[`queries_${i}`] = query(`${i}`);
  for (const i of layers(encoderLayers)) outputs[`encoder_${i}`] = tokens(`encoder.layers.${i}`);
  for (const i of layers(decoderLayers)) outputs[`decoder_${i}`] = tokens(`decoder.layers.${i}`);
  return outputs;
}
