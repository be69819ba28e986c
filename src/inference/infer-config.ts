/** From the keys and shapes of a published checkpoint to the model that it belongs to. */
import { CheckpointError } from "../errors.js";
import {
  type AvsModelConfig,
  binaryClasses,
  modelConfigProblem,
  type PerStage,
  type PvtConfig,
  type ResNetConfig,
  type VggishConfig,
} from "../models/model-config.js";
import { publishedModel, pvtPreset } from "../models/presets.js";
import type { Shape } from "../tensor.js";

/** What shapes cannot tell. */
export interface InferenceHints {
  /** Which binary task; `s4` unless told. More than one logit means `avss`. */
  readonly task?: AvsModelConfig["task"] | undefined;
  /** Names of the classes, as many as there are logits. */
  readonly classes?: readonly string[] | undefined;
  readonly frameCount?: number | undefined;
  readonly imageSize?: number | undefined;
}

/**
 * The model of a whole state dict with published keys. Head counts, reductions of the decoder, frame count and
 * image size leave no trace in shapes: the published ones are taken.
 * @throws `CheckpointError` naming `file` when a part is missing or the family is unknown.
 */
export function inferModelConfig(
  shapes: ReadonlyMap<string, Shape>,
  file: string,
  { task, classes, frameCount, imageSize }: InferenceHints = {},
): AvsModelConfig {
  /** Size of `axis` of a tensor that must be there. */
  const size = (key: string, axis = 0): number => {
    const d = shapes.get(key)?.[axis];
    if (d !== undefined) return d;
    throw new CheckpointError(`${file}: not a whole model: "${key}" is missing`, {
      hint: "Give a checkpoint of the whole model; encoders alone go under `model.visual.weights` or `model.audio.weights`.",
    });
  };
  const logits = size("decoder.mask_features.weight");
  const inferredTask = logits > 1 ? "avss" : (task ?? "s4");
  const names =
    classes ?? (logits > 1 ? Array.from({ length: logits }, (_, i) => `class ${i}`) : binaryClasses);
  if (names.length !== logits) {
    throw new CheckpointError(`${file}: it has ${logits} logits, but ${names.length} classes are named`);
  }
  const visual = shapes.has("visual_encoder.patch_embed1.proj.weight")
    ? inferPvt(shapes, size)
    : inferResNet(size);
  const base = publishedModel(inferredTask, visual, names);
  const config: AvsModelConfig = {
    ...base,
    frameCount: frameCount ?? base.frameCount,
    imageSize: imageSize ?? base.imageSize,
    audio: inferVggish(shapes, size),
    messenger: {
      ...base.messenger,
      queries: size("bridger.Fusers.0.intermediate_queries.weight"),
      width: size("bridger.Fusers.0.intermediate_queries.weight", 1),
    },
    decoder: {
      ...base.decoder,
      project: shapes.has("decoder.audio_proj_1.weight"),
      channel: shapes.has("decoder.fusion_block_0.channel_attn.atten.in_proj_weight"),
      convDim: size("decoder.layer_1.weight"),
    },
  };
  const problem = modelConfigProblem(config);
  if (problem !== undefined) throw new CheckpointError(`${file}: an unknown kind of model: ${problem}`);
  return config;
}

type SizeOf = (key: string, axis?: number) => number;

function inferPvt(shapes: ReadonlyMap<string, Shape>, size: SizeOf): PvtConfig {
  const perStage = (read: (stage: number) => number): PerStage => [read(1), read(2), read(3), read(4)];
  const at = (stage: number, rest: string) => `visual_encoder.block${stage}.0.${rest}`;
  const dims = perStage((s) => size(`visual_encoder.patch_embed${s}.proj.weight`));
  const depth = (stage: number) => {
    let k = 0;
    while (shapes.has(`visual_encoder.block${stage}.${k}.norm1.weight`)) k++;
    return Math.max(k, 1);
  };
  return pvtPreset("pvt-v2-b0", {
    dims,
    depths: perStage(depth),
    mlpRatios: perStage((s) => size(at(s, "mlp.fc1.weight")) / size(at(s, "mlp.fc1.weight"), 1)),
    reductions: perStage((s) => shapes.get(at(s, "attn.sr.weight"))?.[2] ?? 1),
    loraRank: shapes.get(at(1, "attn.q.lora_A"))?.[0] ?? 0,
  });
}

function inferResNet(size: SizeOf): ResNetConfig {
  size("visual_encoder.conv1.weight");
  return { kind: "resnet50", freezeBatchNorm: false };
}

function inferVggish(shapes: ReadonlyMap<string, Shape>, size: SizeOf): VggishConfig {
  const width = (index: number) => size(`audio_encoder.features.${index}.weight`);
  return {
    widths: [width(0), width(3), width(6), width(8), width(11), width(13)],
    hidden: size("audio_encoder.embeddings.0.weight"),
    pca: shapes.has("audio_encoder.pproc.pca_eigen_vectors"),
  };
}
