/** Hashes of weight files. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import path from "node:path";
import { readShardIndex } from "../shards.js";
import { withFileSource } from "./file-source.js";

/**
 * SHA-256 of a file, in hexadecimal. Of an index of shards (`*.index.json`), that of the index and its shards one after
 * the other, in the order of their names. Throws `CheckpointError` for a malformed index, the signal's reason on abort.
 */
export async function hashFile(file: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const shards = /\.index\.json$/.test(file) ? [...(await withFileSource(file, readShardIndex)).keys()] : [];
  for (const part of [file, ...shards.sort().map((name) => path.join(path.dirname(file), name))]) {
    for await (const chunk of createReadStream(part, { highWaterMark: 1 << 20 })) {
      signal?.throwIfAborted();
      hash.update(chunk);
    }
  }
  return hash.digest("hex");
}
