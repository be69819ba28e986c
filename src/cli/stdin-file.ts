/** A video from standard input as a file: it is read more than once, and ffmpeg seeks in it. */
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pipeline } from "node:stream/promises";

/** What names standard input as a video, and standard output as a folder. */
export const stdio = "-";

/** Calls `use` with a temporary copy of standard input, which is removed afterwards. */
export async function withStdinFile<T>(signal: AbortSignal, use: (file: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(path.join(tmpdir(), "avseg-stdin-"));
  try {
    const file = path.join(dir, "stdin");
    await pipeline(process.stdin, createWriteStream(file), { signal });
    return await use(file);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
