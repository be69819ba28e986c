/** The model that a configuration file describes, for commands that are given one beside a checkpoint. */
import type { Config } from "../config/schema.js";
import type { LoadModelOptions } from "../inference/load-model.js";
import { type ModelCache, modelCache } from "../inference/node/model-cache.js";
import type { ProviderChoice } from "../runtime/providers.js";
import { warn } from "./run.js";

/** The model and its encoder files. Throws `ConfigError`, and `DatasetError` where AVSS's classes cannot be read. */
export async function configuredModel(
  config: Config,
): Promise<Pick<LoadModelOptions, "config" | "encoders">> {
  const { task, data } = config;
  const { visual, audio } = config.model;
  // Loaded here, because most commands run without a configuration, and these take a tenth of a second.
  const { modelFromConfig } = await import("../config/model-from-config.js");
  const { datasetClasses } = await import("../datasets/avsbench/open-dataset.js");
  const classes = task === "avss" ? await datasetClasses(task, data.root) : undefined;
  return {
    config: modelFromConfig(config, classes),
    encoders: { visual: visual.weights, audio: audio.weights, pca: audio.pca },
  };
}

/** The assignments of `--set`, with that of `--provider`. */
export function withProvider(options: {
  readonly set: readonly string[];
  readonly provider?: ProviderChoice | undefined;
}): readonly string[] {
  const { set, provider } = options;
  return provider === undefined ? set : [...set, `runtime.provider=${provider}`];
}

/** The cache of opened models that a command uses, by its option. Throws `ConfigError` for a wrong `AVSEG_MODEL_CACHE`. */
export function commandCache(isUsed: boolean): ModelCache | false {
  return (isUsed && modelCache({ onWarning: warn })) || false;
}

/** Warns where opened models cannot be kept, for commands whose models are opened by other processes. */
export async function warnOfCache(): Promise<void> {
  await modelCache({ onWarning: warn })?.check();
}

/** What the options `--config` and `--audio-encoder` say about a checkpoint's model. Throws as `configuredModel` does. */
export async function modelOptions(options: {
  readonly config?: string | undefined;
  readonly audioEncoder?: string | undefined;
}): Promise<Pick<LoadModelOptions, "config" | "encoders">> {
  const { config, encoders } = options.config === undefined ? {} : await configuredFile(options.config);
  return { config, encoders: { ...encoders, audio: options.audioEncoder ?? encoders?.audio } };
}

async function configuredFile(file: string): Promise<Pick<LoadModelOptions, "config" | "encoders">> {
  const { loadConfig } = await import("../config/load.js");
  return configuredModel((await loadConfig(file)).config);
}
