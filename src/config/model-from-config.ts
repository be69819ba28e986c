/** From a configuration's model section to a resolved model. */
import { ConfigError } from "../errors.js";
import {
  type AvsModelConfig,
  avsModelSchema,
  binaryClasses,
  type ModelConfigProblem,
  modelConfigProblem,
} from "../models/model-config.js";
import { pvtSizes } from "../models/pvt-v2.js";
import type { VisualConfig } from "../models/visual-encoder.js";
import type { Config } from "./schema.js";

type ModelSections = Pick<Config, "task" | "model" | "data">;

/**
 * The model that a configuration describes. `classes` are the dataset's names (AVSS); the binary tasks have one.
 * Throws `ConfigError` when the configuration counts other classes than the data has, or describes a model that cannot
 * be built.
 */
export function modelFromConfig(
  config: ModelSections,
  classes: readonly string[] = binaryClasses,
): AvsModelConfig {
  const model = resolveModel(config, config.task === "avss" ? classes : binaryClasses);
  const expected = config.model.classes;
  if (expected !== null && expected !== model.classes.length) {
    throw new ConfigError(
      `configuration: "model.classes" is ${expected}, but the data has ${model.classes.length}`,
      { hint: "Leave model.classes out to take the number from the data." },
    );
  }
  const problem = configProblem(modelConfigProblem(model));
  if (problem === undefined) return model;
  throw new ConfigError(`${problem.path.join(".")}: ${problem.message}`, {
    hint: "Change the sizes under `model` or `data`.",
  });
}

/** What prevents the model from being built, by the configuration's own keys. */
export function modelProblem(config: ModelSections): ModelConfigProblem | undefined {
  return configProblem(modelConfigProblem(resolveModel(config, binaryClasses)));
}

/** Where a configuration keeps what the model calls `path`. */
function configProblem(problem: ModelConfigProblem | undefined): ModelConfigProblem | undefined {
  if (problem === undefined || problem.path[0] === "classes") return undefined;
  const section = ["frameCount", "imageSize"].includes(problem.path[0] ?? "") ? "data" : "model";
  return { ...problem, path: [section, ...problem.path] };
}

function resolveModel({ task, model, data }: ModelSections, classes: readonly string[]): AvsModelConfig {
  const { weights: _weights, train: _train, pca, ...audio } = model.audio;
  return avsModelSchema.parse({
    task,
    classes,
    frameCount: data.frameCount,
    imageSize: data.imageSize,
    visual: resolveVisual(model.visual),
    audio: { ...audio, pca: pca !== null },
    messenger: model.messenger,
    decoder: model.decoder,
  });
}

function resolveVisual(visual: Config["model"]["visual"]): unknown {
  const { kind, weights: _weights, freezeEpochs: _freezeEpochs, lora, freezeBatchNorm, ...pvt } = visual;
  if (kind === "resnet50") return { kind, freezeBatchNorm } satisfies Partial<VisualConfig>;
  const sizes = kind === "pvt-v2" ? {} : pvtSizes[kind];
  return { ...pvt, ...sizes, kind: "pvt-v2", loraRank: lora?.rank ?? 0 };
}
