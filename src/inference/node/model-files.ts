/** The files of models on disk, and where they are looked for. */
import { access, constants, readFile } from "node:fs/promises";
import path from "node:path";
import { CheckpointError } from "../../errors.js";
import { ownOrShipped } from "../../node/paths.js";
import { detectContainer } from "../../weights/detect.js";
import { cachedWeights } from "../../weights/hub/cache.js";
import { withFileSource } from "../../weights/node/file-source.js";
import { hashFile } from "../../weights/node/hash-file.js";
import { loadStateDict, weightFileAt } from "../../weights/node/load.js";
import { readOnnxFile } from "../../weights/onnx-file.js";
import { PUBLISHED_ENCODERS } from "../../weights/public/encoders.js";
import { PUBLISHED_MODELS } from "../../weights/public/models.js";
import type { ModelFiles } from "../weight-sources.js";

/** Files on disk by path, shipped files by their path in the package, public weights by name. */
export const diskFiles: ModelFiles = {
  locate: findWeightFile,
  container: (file) => withFileSource(file, detectContainer),
  weights: loadStateDict,
  onnx: async (file) => {
    const [folder, location] = [path.dirname(file), path.basename(file)];
    const onnx = await withFileSource(file, (source) => readOnnxFile(source, location));
    return { onnx, folder, beside: (name) => withBeside(name, file, checkReadable) };
  },
  bytesBeside: (name, of) => withBeside(name, of, async (beside) => new Uint8Array(await readFile(beside))),
  sha256: hashFile,
};

/** Throws where a file cannot be read. It is mapped instead of read. */
async function checkReadable(file: string): Promise<undefined> {
  await access(file, constants.R_OK);
}

/** Works with the file `name` in the folder of the file `of`; where it cannot be read, the error says what it is for. */
async function withBeside<T>(name: string, of: string, use: (file: string) => Promise<T>): Promise<T> {
  const file = path.join(path.dirname(of), name);
  return use(file).catch((cause: unknown) => {
    throw new CheckpointError(`${file}: cannot be read, and holds the weights of ${of}`, {
      cause,
      hint: "Keep the two together, or export it again without --external-data.",
    });
  });
}

/**
 * Finds a weight file: as given (a file, or a folder of shards), below the package (shipped encoders), or by its name in
 * the cache of public weights. Throws `CheckpointError` that says how to get it.
 */
export async function findWeightFile(file: string): Promise<string> {
  const name = path.basename(file);
  const published =
    PUBLISHED_MODELS.get(file) ??
    [...PUBLISHED_ENCODERS.values()].find((entry) => entry.name === file || entry.file === name);
  const found = ownOrShipped(file) ?? (published && (await cachedWeights(published.name)));
  if (found !== undefined) return weightFileAt(found);
  const orRandom = published?.kind === "encoder" ? ", or set its path to null for random weights" : "";
  throw new CheckpointError(`${file}: no such weight file`, {
    hint: published ? `Get it with \`avseg weights pull ${published.name}\`${orRandom}.` : "Check the path.",
  });
}
