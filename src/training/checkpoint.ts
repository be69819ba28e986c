/**
 * What a checkpoint holds: every parameter that was trained (and running statistics), the optimiser's state,
 * how far the run is, its configuration, and which frozen weights it stands on. One safetensors file holds
 * all of it, so that parameters and optimiser state can never come from different moments.
 *
 * Tensors: parameters under their state-dict keys; the optimiser's under `optimizer:<parameter>.<slot>`.
 * Metadata: `format`, and as JSON `model` (`AvsModelConfig`), `config`, `frozen` and `progress`.
 */
import { z } from "zod";
import { type Config, configSchema } from "../config/schema.js";
import { CheckpointError } from "../errors.js";
import { type AvsModelConfig, modelConfigFromJson, modelConfigToJson } from "../models/model-config.js";
import type { StateDict, Tensor } from "../tensor.js";

/** The weight file that a frozen part was loaded from. */
const frozenSchema = z.strictObject({ file: z.string(), sha256: z.string() });
/** One file of frozen weights and its content's hash. */
export type FrozenSource = z.infer<typeof frozenSchema>;

const epochSchema = z.strictObject({
  /** Counted from 0. */
  epoch: z.number(),
  /** Mean training loss of the epoch. */
  loss: z.number(),
  /** Learning rate at its end. */
  learningRate: z.number(),
  /** Validation figures, where the epoch was evaluated. */
  validation: z.record(z.string(), z.number()).optional(),
});
/** What is kept of an epoch. */
export type EpochRecord = z.infer<typeof epochSchema>;

const progressSchema = z.strictObject({
  /** The epoch that comes next or is under way, counted from 0. */
  epoch: z.number(),
  /** Batches of it that are done. */
  batch: z.number(),
  /** Steps done in all; also the key of the random draws. */
  step: z.number(),
  /** Sum of the losses of those batches, weighted by clips, and the clips. */
  lossSum: z.number(),
  lossClips: z.number(),
  /** The best epoch so far and its figure. */
  best: z.strictObject({ epoch: z.number(), value: z.number() }).nullable(),
  history: z.array(epochSchema),
});
/** How far a run is. With the configuration it determines all that follows, to the bit. */
export type Progress = z.infer<typeof progressSchema>;

/** A run that has not begun. */
export const startOfRun: Progress = {
  epoch: 0,
  batch: 0,
  step: 0,
  lossSum: 0,
  lossClips: 0,
  best: null,
  history: [],
};

/** A checkpoint in memory. */
export interface Checkpoint {
  readonly config: Config;
  /** The model that the parameters belong to. */
  readonly model: AvsModelConfig;
  /** Where frozen weights came from, by state-dict prefix (`visual_encoder`, `audio_encoder`). */
  readonly frozen: Readonly<Record<string, FrozenSource>>;
  readonly progress: Progress;
  /** Trained parameters and running statistics by state-dict key. */
  readonly parameters: StateDict;
  /** The optimiser's state; absent in files meant for use only (`best`). */
  readonly optimizer?: StateDict | undefined;
}

const format = "avseg-checkpoint-1";
const optimizerPrefix = "optimizer:";

/** The tensors and metadata to write for a checkpoint. */
export function packCheckpoint(checkpoint: Checkpoint): {
  tensors: StateDict;
  metadata: Record<string, string>;
} {
  const tensors = new Map<string, Tensor>(checkpoint.parameters);
  for (const [key, tensor] of checkpoint.optimizer ?? []) tensors.set(`${optimizerPrefix}${key}`, tensor);
  const { config, model, frozen, progress } = checkpoint;
  return {
    tensors,
    metadata: {
      format,
      model: modelConfigToJson(model),
      config: JSON.stringify(config),
      frozen: JSON.stringify(frozen),
      progress: JSON.stringify(progress),
    },
  };
}

/** True for the metadata of a checkpoint written by `packCheckpoint`. */
export function isCheckpoint(metadata: Readonly<Record<string, string>>): boolean {
  return metadata.format === format;
}

/** The opposite of `packCheckpoint`. `file` names the file in `CheckpointError`s. */
export function unpackCheckpoint(
  tensors: StateDict,
  metadata: Readonly<Record<string, string>>,
  file: string,
): Checkpoint {
  if (!isCheckpoint(metadata)) {
    throw new CheckpointError(`${file}: expected a checkpoint of avseg, found other weights`, {
      hint: "Give the configuration that these weights belong to, or a file written by `avseg train`.",
    });
  }
  const part = <T>(key: string, schema: z.ZodType<T>): T => {
    try {
      return schema.parse(JSON.parse(metadata[key] ?? ""));
    } catch (cause) {
      throw new CheckpointError(`${file}: its ${key} cannot be read`, {
        cause,
        hint: "The file is damaged, or was written by another version.",
      });
    }
  };
  const parameters = new Map<string, Tensor>();
  const optimizer = new Map<string, Tensor>();
  for (const [key, tensor] of tensors) {
    if (key.startsWith(optimizerPrefix)) optimizer.set(key.slice(optimizerPrefix.length), tensor);
    else parameters.set(key, tensor);
  }
  return {
    config: part("config", configSchema),
    model: modelConfigFromJson(metadata.model ?? "", file),
    frozen: part("frozen", z.record(z.string(), frozenSchema)),
    progress: part("progress", progressSchema),
    parameters,
    ...(optimizer.size > 0 ? { optimizer } : {}),
  };
}
