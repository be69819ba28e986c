/** A partial file beside its target, and the record of what it is a part of. */
import { open, readFile, rm, stat, statfs } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { OutputError } from "../../errors.js";
import { writeFileAtomic } from "../../node/files.js";
import { errorCode } from "../../node/system-error.js";

/** What is recorded about a partial file, so that only the very same content is continued. */
const partStateSchema = z.object({
  url: z.string(),
  /** A strong ETag or, without one, the date of the last change: what `If-Range` takes. */
  validator: z.string().optional(),
  /** Bytes of the whole file, where the server gave them. */
  total: z.number().optional(),
});
/** What is recorded about a partial file. */
export type PartState = z.infer<typeof partStateSchema>;

/** Removes a partial file and its state. */
export async function discardPart(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(statePath(part), { force: true });
}

/** Removes the state of a partial file that is complete. */
export async function forgetPartState(part: string): Promise<void> {
  await rm(statePath(part), { force: true });
}

/** The bytes of a file from `start` on. */
export async function tailOf(file: string, start: number): Promise<Uint8Array> {
  const handle = await open(file);
  try {
    const bytes = Buffer.alloc(Math.max(0, (await handle.stat()).size - start));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/**
 * Throws `OutputError` when the disk of `part`, in a folder that exists, has no room for `bytes` more. File systems that do not
 * tell their size pass.
 */
export async function requireFreeSpace(part: string, bytes: number): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(path.dirname(part));
  const free = bavail * bsize;
  if (blocks === 0 || bytes <= free) return;
  const megabytes = (n: number) => `${Math.ceil(n / 1e6)} MB`;
  throw new OutputError(
    `cannot write ${part}: ${megabytes(bytes)} are to come, and its disk has room for ${megabytes(free)}`,
    { hint: "Free some space, or choose another cache folder with the environment variable AVSEG_CACHE." },
  );
}

function statePath(part: string): string {
  return `${part}.json`;
}

/** The record of a partial file; `undefined` where it is missing or damaged. */
export async function readState(part: string): Promise<PartState | undefined> {
  const text = await readFile(statePath(part), "utf8").catch(() => "");
  try {
    return partStateSchema.parse(JSON.parse(text));
  } catch {
    return undefined; // the download starts from the beginning
  }
}

/** Records what a partial file will hold, which is removed. */
export async function writeState(part: string, state: PartState): Promise<void> {
  await rm(part, { force: true }); // a state must never lie beside the bytes of another file
  await writeFileAtomic(statePath(part), JSON.stringify(state));
}

/** The bytes of a file; 0 if it does not exist. */
export async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return 0;
    throw error;
  }
}
