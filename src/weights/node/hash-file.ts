/** Hashes of weight files. */
import path from "node:path";
import { sha256OfFiles } from "../../node/sha256.js";
import { readShardIndex } from "../shards.js";
import { withFileSource } from "./file-source.js";

/**
 * SHA-256 of a file, in hexadecimal. Of an index of shards (`*.index.json`), that of the index and its shards one after
 * the other, in the order of their names. Throws `CheckpointError` for a malformed index, the signal's reason on abort.
 */
export async function hashFile(file: string, signal?: AbortSignal): Promise<string> {
  const shards = /\.index\.json$/.test(file) ? [...(await withFileSource(file, readShardIndex)).keys()] : [];
  return sha256OfFiles([file, ...shards.sort().map((name) => path.join(path.dirname(file), name))], signal);
}
