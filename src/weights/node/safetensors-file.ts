/** Safetensors files on disk. */
import { writeFileAtomic } from "../../node/files.js";
import type { StateDict, Tensor } from "../../tensor.js";
import type { ReadOptions } from "../byte-source.js";
import {
  encodeSafetensors,
  readSafetensors,
  readSafetensorsHeader,
  type SafetensorsHeader,
  type SafetensorsWriteOptions,
} from "../safetensors.js";
import { withFileSource } from "./file-source.js";

/** Reads the tensors of `file` (those that `select` lets through) and its metadata. Throws `CheckpointError`. */
export function loadSafetensors(
  file: string,
  options: ReadOptions & { select?: (key: string) => boolean } = {},
): Promise<{ tensors: Map<string, Tensor>; metadata: Readonly<Record<string, string>> }> {
  return withFileSource(file, (source) => readSafetensors(source, options));
}

/** Reads only names, types, shapes and metadata of `file`. Throws `CheckpointError`. */
export function loadSafetensorsHeader(file: string): Promise<SafetensorsHeader> {
  return withFileSource(file, readSafetensorsHeader);
}

/** Options of `writeSafetensors`. */
export interface SafetensorsFileOptions extends SafetensorsWriteOptions {
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a safetensors file atomically, a tensor at a time; equal content gives equal bytes.
 * Throws `OutputError` when it cannot be written, and what `encodeSafetensors` throws.
 */
export function writeSafetensors(
  file: string,
  tensors: StateDict,
  { metadata = {}, signal, ...options }: SafetensorsFileOptions = {},
): Promise<void> {
  return writeFileAtomic(file, encodeSafetensors(tensors, metadata, options), { signal });
}
