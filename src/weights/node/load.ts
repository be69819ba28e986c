/** Weight files on disk, whatever their format. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { CheckpointError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { ReadOptions } from "../byte-source.js";
import type { ShardOpener } from "../shards.js";
import { type LoadedStateDict, listWeights, readStateDict, type WeightListing } from "../state-dict.js";
import { readTorchTensor } from "../torch/state-dict.js";
import { withFileSource } from "./file-source.js";

/** Reads a weight file, or a folder or index of shards; see `readStateDict`. Throws `CheckpointError`. */
export async function loadStateDict(file: string, options: ReadOptions = {}): Promise<LoadedStateDict> {
  const found = await weightFileAt(file);
  return withFileSource(found, (source) => readStateDict(source, { ...options, openShard: besides(found) }));
}

/** Lists a weight file, or a folder or index of shards, without reading the data. Throws `CheckpointError`. */
export async function loadListing(file: string): Promise<WeightListing> {
  const found = await weightFileAt(file);
  return withFileSource(found, (source) => listWeights(source, { openShard: besides(found) }));
}

/** Reads the single tensor of a torch file, e.g. AVSBench's `.pkl` log-mels `f32[T,1,96,64]`. Throws `CheckpointError`. */
export function loadTorchTensor(file: string): Promise<Tensor> {
  return withFileSource(file, readTorchTensor);
}

/**
 * The weight file at `place`: itself, or in a folder as Hugging Face's libraries write it, the index of its shards or
 * the only file of weights. Throws `CheckpointError` for a folder without one.
 */
export async function weightFileAt(place: string): Promise<string> {
  const isFolder = await stat(place).then(
    (status) => status.isDirectory(),
    () => false,
  );
  if (!isFolder) return place;
  const names = (await readdir(place)).sort();
  const name =
    names.find((entry) => /\.safetensors\.index\.json$/.test(entry)) ??
    names.find((entry) => entry === "model.safetensors") ??
    names.find((entry) => /\.bin\.index\.json$/.test(entry)) ??
    names.find((entry) => entry === "pytorch_model.bin");
  if (name !== undefined) return path.join(place, name);
  throw new CheckpointError(
    `${place}: a folder without an index of shards (*.index.json), model.safetensors or pytorch_model.bin`,
    { hint: "Give the path of the weight file itself." },
  );
}

/** Opens files beside `index`. */
function besides(index: string): ShardOpener {
  return (name, use) => withFileSource(path.join(path.dirname(index), name), use);
}
