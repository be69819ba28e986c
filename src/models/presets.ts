/** Named sizes, and the step from a configuration file's model section to a resolved model. */
import type { Config } from "../config/schema.js";
import { ConfigError } from "../errors.js";
import {
  type AvsModelConfig,
  binaryClasses,
  modelConfigProblem,
  type PerStage,
  type PvtConfig,
  type ResNetConfig,
  type VggishConfig,
} from "./model-config.js";

const pvtHeads: PerStage = [1, 2, 5, 8];
const pvtReductions: PerStage = [8, 4, 2, 1];

/** PVTv2 by letter: channels, depths, MLP ratios (Wang et al. 2022, table 1). */
const pvtSizes = {
  "pvt-v2-b0": { dims: [32, 64, 160, 256], depths: [2, 2, 2, 2], mlpRatios: [8, 8, 4, 4] },
  "pvt-v2-b1": { dims: [64, 128, 320, 512], depths: [2, 2, 2, 2], mlpRatios: [8, 8, 4, 4] },
  "pvt-v2-b2": { dims: [64, 128, 320, 512], depths: [3, 4, 6, 3], mlpRatios: [8, 8, 4, 4] },
  "pvt-v2-b3": { dims: [64, 128, 320, 512], depths: [3, 4, 18, 3], mlpRatios: [8, 8, 4, 4] },
  "pvt-v2-b4": { dims: [64, 128, 320, 512], depths: [3, 8, 27, 3], mlpRatios: [8, 8, 4, 4] },
  "pvt-v2-b5": { dims: [64, 128, 320, 512], depths: [3, 6, 40, 3], mlpRatios: [4, 4, 4, 4] },
} as const satisfies Record<string, Pick<PvtConfig, "dims" | "depths" | "mlpRatios">>;

/** Names of the published PVTv2 sizes. */
export type PvtName = keyof typeof pvtSizes;

/** All names of the published PVTv2 sizes. */
export const pvtNames: readonly PvtName[] = [
  "pvt-v2-b0",
  "pvt-v2-b1",
  "pvt-v2-b2",
  "pvt-v2-b3",
  "pvt-v2-b4",
  "pvt-v2-b5",
];

/** A published PVTv2, with parts replaced. */
export function pvtPreset(name: PvtName, changes: Partial<Omit<PvtConfig, "kind">> = {}): PvtConfig {
  return {
    kind: "pvt-v2",
    ...pvtSizes[name],
    heads: pvtHeads,
    reductions: pvtReductions,
    dropPath: 0.1,
    loraRank: 0,
    ...changes,
  };
}

/** VGGish as published. */
export const vggishPreset: VggishConfig = {
  widths: [64, 128, 256, 256, 512, 512],
  hidden: 4096,
  pca: false,
};

/** A published model: the task's frames and classes, a decoder form that belongs to the encoder. */
export function publishedModel(
  task: AvsModelConfig["task"],
  visual: PvtConfig | ResNetConfig,
  classes: readonly string[] = binaryClasses,
): AvsModelConfig {
  return {
    task,
    classes,
    frameCount: task === "avss" ? 10 : 5,
    imageSize: 224,
    visual,
    audio: vggishPreset,
    messenger: { queries: 5, width: 128, heads: 8, frames: 5, dropout: 0.1 },
    decoder: {
      project: visual.kind === "resnet50",
      channel: false,
      convDim: 256,
      heads: 8,
      reductions: [8, 4, 2, 1],
      dropout: 0.1,
      positionEncoding: false,
    },
  };
}

/**
 * The model that a configuration describes. `classes` are the dataset's names (AVSS); the binary tasks have one.
 * @throws `ConfigError` naming the key whose value makes the model impossible.
 */
export function modelFromConfig(
  { task, model, data }: Pick<Config, "task" | "model" | "data">,
  classes: readonly string[] = binaryClasses,
): AvsModelConfig {
  const { audio, messenger, decoder } = model;
  const config: AvsModelConfig = {
    task,
    classes: task === "avss" ? classes : binaryClasses,
    frameCount: data.frameCount,
    imageSize: data.imageSize,
    visual: visualFromConfig(model.visual),
    audio: { widths: audio.widths, hidden: audio.hidden, pca: audio.pca !== null },
    messenger,
    decoder,
  };
  if (model.classes !== null && model.classes !== config.classes.length) {
    throw new ConfigError(
      `configuration: "model.classes" is ${model.classes}, but the data has ${config.classes.length}`,
      { hint: "Leave model.classes out to take the number from the data." },
    );
  }
  const problem = modelConfigProblem(config);
  if (problem !== undefined) {
    throw new ConfigError(`configuration: ${problem}`, { hint: "Change the sizes under `model` or `data`." });
  }
  return config;
}

function visualFromConfig(visual: Config["model"]["visual"]): PvtConfig | ResNetConfig {
  if (visual.kind === "resnet50") return { kind: "resnet50", freezeBatchNorm: visual.freezeBatchNorm };
  const { dims, depths, heads, mlpRatios, reductions, dropPath, lora } = visual;
  const named = visual.kind === "pvt-v2" ? undefined : pvtPreset(visual.kind);
  const pick = (key: "dims" | "depths" | "heads" | "mlpRatios" | "reductions", own: PerStage | undefined) => {
    const sizes = own ?? named?.[key];
    if (sizes === undefined) {
      throw new ConfigError(
        `configuration: "model.visual.${key}" is missing; kind pvt-v2 has no sizes of its own`,
        {
          hint: `Give four numbers, or name a kind: ${pvtNames.join(", ")}.`,
        },
      );
    }
    return sizes;
  };
  return {
    kind: "pvt-v2",
    dims: pick("dims", dims),
    depths: pick("depths", depths),
    heads: pick("heads", heads ?? pvtHeads),
    mlpRatios: pick("mlpRatios", mlpRatios),
    reductions: pick("reductions", reductions ?? pvtReductions),
    dropPath,
    loraRank: lora?.rank ?? 0,
  };
}
