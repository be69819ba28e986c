/** SHA-256 of bytes and files, in hexadecimal. */
import { type BinaryLike, createHash } from "node:crypto";
import { createReadStream } from "node:fs";

/** SHA-256 of bytes, or of a text in UTF-8. */
export const sha256Of = (bytes: BinaryLike): string => createHash("sha256").update(bytes).digest("hex");

/** SHA-256 of files, one after the other. Throws what reading them throws, the signal's reason on abort. */
export async function sha256OfFiles(files: readonly string[], signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for (const file of files) {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
      signal?.throwIfAborted();
      hash.update(chunk);
    }
  }
  return hash.digest("hex");
}
