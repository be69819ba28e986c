/** The model that a configuration describes. */
import { ConfigError } from "../errors.js";
import { complaintOf } from "../fields.js";
import { audioConfigFields } from "../models/audio-encoder.js";
import {
  type AvsModelConfig,
  avsModelSchema,
  binaryClasses,
  type ModelConfigProblem,
  modelConfigProblem,
} from "../models/model-config.js";
import { hasSharedEncoders, sectionsOf, systemOf, systemSections } from "../models/systems.js";
import { type ResolvedVisual, resolveVisual } from "../models/visual-encoder.js";
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
  if ("message" in model) {
    throw new ConfigError(`${model.path.join(".")}: ${model.message}`, {
      hint: "Change the sizes under `model` or `data`.",
    });
  }
  const expected = config.model.classes;
  if (expected === null || expected === model.classes.length) return model;
  throw new ConfigError(
    `configuration: "model.classes" is ${expected}, but the data has ${model.classes.length}`,
    { hint: "Leave model.classes out to take the number from the data." },
  );
}

/** What prevents the model from being built, by the configuration's own keys. */
export function modelProblem(config: ModelSections): ModelConfigProblem | undefined {
  const model = resolveModel(config, binaryClasses);
  return "message" in model && model.path[1] !== "classes" ? model : undefined;
}

function resolveModel(
  { task, model, data }: ModelSections,
  classes: readonly string[],
): AvsModelConfig | ModelConfigProblem {
  const encoders = {
    visual: visualSettings(model.visual).settings,
    audio: audioSettings(model.audio),
  };
  const settings = {
    ...ownModel(model),
    ...(hasSharedEncoders(model.kind) && encoders),
    task,
    classes,
    frameCount: data.frameCount,
    imageSize: data.imageSize,
  };
  const { data: resolved, error } = avsModelSchema.safeParse(settings);
  const issue = error?.issues[0];
  if (issue) {
    const { path, expected, found } = complaintOf(issue, settings);
    return located({ path: path.map(String), message: `expected ${expected}, found ${found}` });
  }
  if (resolved === undefined) throw new Error("configuration: no model");
  const problem = modelConfigProblem(resolved);
  return problem ? located(problem) : resolved;
}

/** `model` without the sections of other systems, which the schema fills in. */
export function ownModel(model: Config["model"]): object {
  const own = sectionsOf(systemOf(model.kind));
  const foreign = hasSharedEncoders(model.kind) ? [] : ["visual", "audio"];
  const isOwn = (key: string) => key in own || !(key in systemSections || foreign.includes(key));
  return Object.fromEntries(Object.entries(model).filter(([key]) => isOwn(key)));
}

/** A problem of the model by the keys of the configuration. */
function located({ path, message }: ModelConfigProblem): ModelConfigProblem {
  const section = ["frameCount", "imageSize"].includes(path[0] ?? "") ? "data" : "model";
  return { path: [section, ...path], message };
}

/** The audio encoder of `model.audio`: its own keys, and whether embeddings are post-processed. */
function audioSettings(audio: Config["model"]["audio"]): object {
  const { kind, pca } = audio;
  const own = Object.entries(audio).filter(([key]) => key in audioConfigFields[kind]);
  return {
    ...Object.fromEntries(own),
    kind,
    ...((kind === "vggish" || pca !== null) && { pca: pca !== null }),
  };
}

/** The resolved visual encoder of `model.visual`. */
export function visualSettings(visual: Config["model"]["visual"]): ResolvedVisual {
  const { kind, weights: _weights, freezeEpochs: _freezeEpochs, ...fields } = visual;
  return resolveVisual(kind, fields);
}
