/** The cases of TPAVI, AVSegFormer and SelM. */
import path from "node:path";
import { cast, concat, constant, mul, reshape } from "../../src/graph/index.js";
import { inferModelConfig } from "../../src/inference/infer-config.js";
import { buildAvsModel } from "../../src/models/avs-model.js";
import type { AvsModelConfig } from "../../src/models/model-config.js";
import { fusionBlock } from "../../src/models/selm/fusion.js";
import { temporalEncoder } from "../../src/models/selm/gates.js";
import { buildSelm } from "../../src/models/selm/selm.js";
import { encodeFrames, stageDims, visualEncoder } from "../../src/models/visual-encoder.js";
import { Pass, Scope, toMap } from "../../src/nn/index.js";
import { f32, full, sizeOf, type Tensor } from "../../src/tensor.js";
import { loadSafetensors } from "../../src/weights/node/safetensors-file.js";
import { seededInput } from "../../test/support.js";
import { feedOf, inputOf, numbered, publishedVariants, type ZooCase } from "./cases.js";

/** The configuration of a published variant, inferred from its keys and shapes. */
async function inferred(
  zoo: string,
  { system, variant, imageSize }: { system: string; variant: string; imageSize?: number | undefined },
): Promise<AvsModelConfig> {
  const shapes = (await publishedVariants(zoo, system)).get(variant);
  if (shapes === undefined) throw new RangeError(`${system}: no variant ${variant} in manifest.json`);
  return inferModelConfig(shapes, `${system}/${variant}`, { imageSize });
}

/** A case of TPAVI or AVSegFormer: `s4_res50_vv` attends to frames too, `s4_pvt2_512` has two frames of 512 pixels. */
export async function baselineCase(zoo: string, system: string, name: string): Promise<ZooCase> {
  const isLarge = name.endsWith("_512");
  const variant = name.replace(/_(512|vv)$/, "");
  const config = await inferred(zoo, { system, variant, imageSize: isLarge ? 512 : 224 });
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
  const input = (key: string) => inputOf(feeds, key);
  const [frames, embedding] = [input("frames"), model.embedAudio(input("logMel"))];
  const keep = feeds.keep && input("keep");
  const pass = new Pass();
  const { logits, matching, maskFeature } = model.forward({ frames, embedding, frameMask: keep }, pass);
  const encoder = visualEncoder(new Scope().at(model.encoders.visual), config.visual);
  const grouped = matching?.audio.map((audio) => audio && reshape(audio, [count / 5, 5, -1]));
  return {
    files: [`${system}/${name}.safetensors`],
    feeds,
    outputs: {
      logits,
      // TPAVI's own code applies the flag of AVSS where it makes the embedding.
      audio: keep && system === "tpavi" ? mul(embedding, reshape(keep, [count, 1])) : embedding,
      ...numbered("stage", encodeFrames(encoder, frames, pass).map(toMap)),
      ...numbered("returned_map", matching?.maps ?? []),
      ...numbered("tpavi", grouped ?? [], "_audio"),
      ...(maskFeature && { mask_feature: maskFeature }),
    },
    tolerance: () => 1e-4,
  };
}

/** A case of SelM, with its values on the way. */
export async function selmCase(zoo: string, name: string): Promise<ZooCase> {
  const config = await inferred(zoo, { system: "selm", variant: name });
  if (config.kind !== "selm") throw new RangeError(`selm: ${config.kind}`);
  const { frameCount, imageSize, visual, selm } = config;
  const stagesFile = `selm/stages_${name}.safetensors`;
  const { tensors } = await loadSafetensors(path.join(zoo, stagesFile));
  const keep = full([frameCount], 1);
  keep.data.fill(0, 5);
  const feeds: Record<string, Tensor> = {
    frames: seededInput(`${name}_frames`, [frameCount, 3, imageSize, imageSize], 2),
    embedding: seededInput(`${name}_audio`, [frameCount, 128]),
    sequence: feedOf(Object.fromEntries(tensors), "encoder_in"),
    ...(config.task === "avss" && { keep }),
  };
  const input = (key: string) => inputOf(feeds, key);
  const pass = new Pass();
  const { logits, stages, gated, levels } = buildSelm(config).trace(
    { frames: input("frames"), embedding: input("embedding"), frameMask: feeds.keep && input("keep") },
    pass,
  );
  const stack = temporalEncoder(new Scope("tem_att").at("video_encoder").at(0), selm.width);
  const changes = stageDims(visual).map((channels, i) => {
    const scope = new Scope("encoder_backbone").at(`DAM_Fusion${i + 1}`);
    const fuse = fusionBlock(scope, { channels, width: selm.width });
    const [audio, tokens] = [constant(full([1, 1, selm.width])), constant(full([1, 1, channels]))];
    const added = reshape(fuse({ audio, tokens }, pass).tokens, [1, channels]);
    return concat(Array(frameCount).fill(added), 0);
  });
  const choices = levels.map(({ second }) => {
    const side = Math.sqrt(sizeOf(second.shape) / frameCount);
    return cast(reshape(second, [frameCount, side, side]), "f32");
  });
  const of = <T, K extends keyof T>(values: readonly T[], key: K): T[K][] =>
    values.map((value) => value[key]);
  return {
    files: [`selm/model_${name}.safetensors`, stagesFile],
    feeds,
    outputs: {
      logits,
      encoder_out: stack(input("sequence")),
      bidirectional_audio: gated.audio,
      ...numbered("stage", of(stages, "map")),
      ...numbered("stage", of(stages, "audio"), "_audio"),
      ...numbered("stage", changes, "_change_at_position_0"),
      ...numbered("bidirectional", gated.maps),
      ...numbered("fused", of(levels, "map")),
      ...numbered("tokens", of(levels, "tokens")),
      ...numbered("map", choices, "_second_token"),
    },
    // What a block adds is a difference of large numbers, in single precision.
    tolerance: (key) => (key.includes("_change_at_position_0") ? 1e-3 : 1e-4),
  };
}
