/** Weight files on disk: where they are looked for, and the assembly of a model's weights from them. */
import path from "node:path";
import { CheckpointError } from "../../errors.js";
import type { ParameterSpec } from "../../nn/index.js";
import { ownOrShipped } from "../../node/files.js";
import { cachedWeights, hashFile } from "../../weights/hub/cache.js";
import { PRETRAINED } from "../../weights/hub/registry.js";
import { loadStateDict } from "../../weights/node/load.js";
import {
  type AssembledWeights,
  assembleWeights as assembleFrom,
  type WeightReader,
  type WeightSources,
} from "../assemble-weights.js";

/** Reads the weight file that `findWeightFile` finds. */
export const readWeightFile: WeightReader = async (name) => {
  const file = await findWeightFile(name);
  const { tensors, metadata } = await loadStateDict(file);
  return { tensors, metadata, sha256: () => hashFile(file) };
};

/** Gathers the weights of `specs` from files on disk; see `assemble-weights.ts`. Throws `CheckpointError`. */
export function assembleWeights(
  specs: readonly ParameterSpec[],
  sources: WeightSources,
  seed: number,
): Promise<AssembledWeights> {
  return assembleFrom(specs, sources, seed, readWeightFile);
}

/**
 * Finds a weight file: as given, below the package (shipped encoders), or by its name in the cache of public
 * weights. Throws `CheckpointError` that says how to get it.
 */
export async function findWeightFile(file: string): Promise<string> {
  const name = path.basename(file);
  const published = [...PRETRAINED.values()].find(
    (entry) => entry.name === file || path.posix.basename(entry.url) === name,
  );
  const found = ownOrShipped(file) ?? (published && (await cachedWeights(published.name)));
  if (found !== undefined) return found;
  throw new CheckpointError(`${file}: no such weight file`, {
    hint: published
      ? `Get it with \`avseg weights pull ${published.name}\`, or set its path to null for random weights.`
      : "Check the path.",
  });
}
