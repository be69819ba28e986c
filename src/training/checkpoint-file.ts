/** Checkpoints on disk, written atomically: a file is the old checkpoint or the new one, never a part. */
import { findWeightFile } from "../inference/node/assemble-weights.js";
import {
  loadSafetensors,
  loadSafetensorsHeader,
  writeSafetensors,
} from "../weights/node/safetensors-file.js";
import { type Checkpoint, packCheckpoint, unpackCheckpoint } from "./checkpoint.js";

/** Writes a checkpoint; equal checkpoints give equal bytes. Throws `OutputError`. */
export async function saveCheckpoint(file: string, checkpoint: Checkpoint): Promise<void> {
  const { tensors, metadata } = packCheckpoint(checkpoint);
  await writeSafetensors(file, tensors, metadata);
}

/** Reads a checkpoint. Throws `CheckpointError` for anything else. */
export async function loadCheckpoint(file: string): Promise<Checkpoint> {
  const { tensors, metadata } = await loadSafetensors(file);
  return unpackCheckpoint(tensors, metadata, file);
}

/**
 * Reads a checkpoint without its tensors (`parameters` is empty), e.g. to see its configuration; one that comes with
 * avseg is found from any folder. Throws `CheckpointError`.
 */
export async function peekCheckpoint(name: string): Promise<Checkpoint> {
  const file = await findWeightFile(name);
  const { metadata } = await loadSafetensorsHeader(file);
  return unpackCheckpoint(new Map(), metadata, file);
}
