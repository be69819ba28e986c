/** Checkpoints of a run on disk, written atomically: a file is the old checkpoint or the new one, never a part. */
import { type Config, configSchema, withRecipe } from "../config/schema.js";
import { CheckpointError } from "../errors.js";
import { findWeightFile } from "../inference/node/model-files.js";
import { type AvsModelConfig, modelConfigFromJson, modelConfigToJson } from "../models/model-config.js";
import type { StateDict } from "../tensor.js";
import {
  type CheckpointHeader,
  type CheckpointTensors,
  type Metadata,
  packCheckpoint,
  readCheckpointHeader,
  splitTensors,
} from "../weights/checkpoint.js";
import {
  loadSafetensors,
  loadSafetensorsHeader,
  writeSafetensors,
} from "../weights/node/safetensors-file.js";

/** A checkpoint without its tensors. */
export interface CheckpointInfo extends Pick<CheckpointHeader, "frozen" | "progress"> {
  readonly config: Config;
  /** The model that the parameters belong to. */
  readonly model: AvsModelConfig;
}

/** A checkpoint in memory. */
export interface Checkpoint extends CheckpointInfo, CheckpointTensors {}

/** Writes a checkpoint; equal checkpoints give equal bytes. Throws `OutputError`. */
export async function saveCheckpoint(file: string, checkpoint: Checkpoint): Promise<void> {
  const { tensors, metadata } = packCheckpoint({ ...checkpoint, model: modelConfigToJson(checkpoint.model) });
  await writeSafetensors(file, tensors, { metadata });
}

/** Reads a checkpoint. Throws `CheckpointError` for anything else. */
export async function loadCheckpoint(file: string): Promise<Checkpoint> {
  const { tensors, metadata } = await loadSafetensors(file);
  return { ...infoOf(metadata, file), ...splitTensors(tensors) };
}

/**
 * Reads what a checkpoint says about itself, e.g. its configuration, without its tensors; one that comes with avseg is
 * found from any folder. Throws `CheckpointError`.
 */
export async function readCheckpointInfo(name: string): Promise<CheckpointInfo> {
  const file = await findWeightFile(name);
  const { metadata } = await loadSafetensorsHeader(file);
  return infoOf(metadata, file);
}

function infoOf(metadata: Metadata, file: string): CheckpointInfo {
  const header = readCheckpointHeader(metadata, file);
  if (header === undefined) {
    throw new CheckpointError(`${file}: expected a checkpoint of avseg, found other weights`, {
      hint: "Give the configuration that these weights belong to, or a file written by `avseg train`.",
    });
  }
  const config = configSchema.safeParse(withRecipe(header.config));
  if (config.success) {
    const { frozen, progress } = header;
    return { config: config.data, model: modelConfigFromJson(header.model ?? "", file), frozen, progress };
  }
  throw new CheckpointError(`${file}: its config cannot be read`, {
    cause: config.error,
    hint: "The file is damaged, or was written by another version of avseg.",
  });
}

/** Copies `values` over the weights of the same keys. Throws `CheckpointError` for a key or shape that does not fit. */
export function overwriteWeights(weights: StateDict, values: StateDict, file: string): void {
  for (const [key, value] of values) {
    const own = weights.get(key);
    if (!own || own.dtype !== value.dtype || own.shape.join() !== value.shape.join()) {
      const found = `${value.dtype}[${value.shape}]`;
      const expected = own ? `${own.dtype}[${own.shape}]` : "no such weight";
      throw new CheckpointError(`${file}: ${key} is ${found}, the model has ${expected}`, {
        hint: "The checkpoint belongs to another configuration.",
      });
    }
    if (own.dtype === "f32" && value.dtype === "f32") own.data.set(value.data);
    else if (own.dtype === "i64" && value.dtype === "i64") own.data.set(value.data);
  }
}
