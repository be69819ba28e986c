/** Weight files on disk, whatever their format. */
import type { Tensor } from "../../tensor.js";
import type { ReadOptions } from "../byte-source.js";
import {
  type LoadedStateDict,
  listWeights,
  readStateDict,
  readTorchTensor,
  type WeightListing,
} from "../state-dict.js";
import { withFileSource } from "./file-source.js";

/** Reads a weight file; see `readStateDict`. Throws `CheckpointError`. */
export function loadStateDict(file: string, options: ReadOptions = {}): Promise<LoadedStateDict> {
  return withFileSource(file, (source) => readStateDict(source, options));
}

/** Lists a weight file without reading its data; see `listWeights`. Throws `CheckpointError`. */
export function loadListing(file: string): Promise<WeightListing> {
  return withFileSource(file, listWeights);
}

/** Reads the single tensor of a torch file, e.g. AVSBench's `.pkl` log-mels `f32[T,1,96,64]`. Throws `CheckpointError`. */
export function loadTorchTensor(file: string): Promise<Tensor> {
  return withFileSource(file, readTorchTensor);
}
