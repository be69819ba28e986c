/**
 * The format of avseg's own checkpoints: every parameter that was trained (and running statistics), the optimizer's
 * state, how far the run is, its configuration, and which frozen weights it stands on. One safetensors file holds all
 * of it, so that parameters and optimizer state can never come from different moments.
 *
 * Tensors: parameters under their state-dict keys; the optimizer's under `optimizer:<parameter>.<slot>`. In a run with
 * `training.ema` the parameters are the averages, which are for use, and the weights that train are under
 * `live:<parameter>`.
 * Metadata: `format`, and as JSON `model`, `config`, `frozen` and `progress`. What `model` and `config` hold is for the
 * layers above to check.
 */
import * as z from "zod";
import { CheckpointError } from "../errors.js";
import type { StateDict, Tensor } from "../tensor.js";

const weightFileSchema = z.strictObject({ file: z.string(), sha256: z.string() }).readonly();
/** A file that weights came from, and the hash of its content. */
export type WeightFile = z.infer<typeof weightFileSchema>;

const epochSchema = z.strictObject({
  /** Counted from 0. */
  epoch: z.number(),
  /** Mean training loss of the epoch. */
  loss: z.number(),
  /** Learning rate at its end. */
  learningRate: z.number(),
  /** Validation metrics, where the epoch was evaluated. */
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
  /** The best epoch so far and its metric. */
  best: z.strictObject({ epoch: z.number(), value: z.number() }).nullable(),
  history: z.array(epochSchema),
});
/** How far a run is. With the configuration it determines all that follows, to the bit. */
export type RunProgress = z.infer<typeof progressSchema>;

/** A run that has not begun. */
export const startOfRun: RunProgress = {
  epoch: 0,
  batch: 0,
  step: 0,
  lossSum: 0,
  lossClips: 0,
  best: null,
  history: [],
};

/** What a checkpoint says about itself. */
export interface CheckpointHeader {
  /** The model's configuration, as JSON. */
  readonly model?: string | undefined;
  /** The run's configuration. */
  readonly config: unknown;
  /** Where frozen weights came from, by state-dict prefix (`visual_encoder`, `audio_encoder`). */
  readonly frozen: Readonly<Record<string, WeightFile>>;
  readonly progress: RunProgress;
}

/** The tensors of a checkpoint. */
export interface CheckpointTensors {
  /** Trained parameters and running statistics by state-dict key. */
  readonly parameters: StateDict;
  /** The optimizer's state; absent in files meant for use only (`best`). */
  readonly optimizer?: StateDict | undefined;
  /** The weights that train, where `parameters` holds averages of them; absent in files meant for use only. */
  readonly live?: StateDict | undefined;
}

/** The metadata of a safetensors file. */
export type Metadata = Readonly<Record<string, string>>;

const format = "avseg-checkpoint-1";
const optimizerPrefix = "optimizer:";
const livePrefix = "live:";

/** The tensors and metadata to write for a checkpoint. */
export function packCheckpoint({
  parameters,
  optimizer,
  live,
  model,
  config,
  frozen,
  progress,
}: CheckpointHeader & CheckpointTensors & { readonly model: string }): {
  tensors: StateDict;
  metadata: Metadata;
} {
  const tensors = new Map<string, Tensor>(parameters);
  for (const [key, tensor] of optimizer ?? []) tensors.set(`${optimizerPrefix}${key}`, tensor);
  for (const [key, tensor] of live ?? []) tensors.set(`${livePrefix}${key}`, tensor);
  return {
    tensors,
    metadata: {
      format,
      model,
      config: JSON.stringify(config),
      frozen: JSON.stringify(frozen),
      progress: JSON.stringify(progress),
    },
  };
}

/** Separates the parameters of a checkpoint from what only a resumed run needs. Other files have parameters only. */
export function splitTensors(tensors: StateDict): CheckpointTensors {
  const parameters = new Map<string, Tensor>();
  const optimizer = new Map<string, Tensor>();
  const live = new Map<string, Tensor>();
  for (const [key, tensor] of tensors) {
    if (key.startsWith(optimizerPrefix)) optimizer.set(key.slice(optimizerPrefix.length), tensor);
    else if (key.startsWith(livePrefix)) live.set(key.slice(livePrefix.length), tensor);
    else parameters.set(key, tensor);
  }
  return {
    parameters,
    optimizer: optimizer.size > 0 ? optimizer : undefined,
    live: live.size > 0 ? live : undefined,
  };
}

/**
 * Reads the metadata of a checkpoint of avseg; `undefined` for those of any other file. A file that holds weights for
 * use only may leave out all but the model. `file` names it in messages.
 * Throws `CheckpointError` when they are damaged.
 */
export function readCheckpointHeader(metadata: Metadata, file: string): CheckpointHeader | undefined {
  if (metadata.format !== format) return undefined;
  const part = <T>(key: string, schema: z.ZodType<T>, absent: T): T => {
    const text = metadata[key];
    if (text === undefined) return absent;
    try {
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      throw new CheckpointError(`${file}: its ${key} cannot be read`, {
        cause,
        hint: "The file is damaged, or was written by another version of avseg.",
      });
    }
  };
  return {
    model: metadata.model,
    config: part("config", z.unknown(), undefined),
    frozen: part("frozen", z.record(z.string(), weightFileSchema), {}),
    progress: part("progress", progressSchema, startOfRun),
  };
}

const runSchema = z.looseObject({
  task: z.string(),
  description: z.string().default(""),
  data: z.looseObject({ root: z.string() }),
  training: z.looseObject({ seed: z.number() }),
});
/** What any version's run configuration says about itself. */
export type RunSummary = z.infer<typeof runSchema>;

/** Task, data and seed of the run that made a checkpoint; `undefined` where its configuration does not name them. */
export function summarizeRun({ config }: CheckpointHeader): RunSummary | undefined {
  return runSchema.safeParse(config).data;
}
