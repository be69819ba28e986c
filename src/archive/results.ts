/** Where results lie, how they get there as a whole, and what is recorded beside them. */
import { open, readdir, readFile, rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { ensureWritableDir, removeStale, syncDir, temporaryPath, writeFileAtomic } from "../node/files.js";
import { asOutputError, errorCode } from "../node/system-error.js";

/** The file beside `segments.json` that says which video and which model the results are of. */
export const recordFile = "video.json";

const partialFolder = ".partial";

const recordSchema = z.object({
  format: z.literal("avseg-archive"),
  version: z.literal(1),
  /** Path of the video when it was processed. */
  video: z.string(),
  sha256: z.string(),
  bytes: z.number(),
  /** Key of the plan. */
  plan: z.string(),
  modelSha256: z.string(),
  modelDescription: z.string(),
  /** One-second steps, and those in which something sounds. */
  steps: z.number(),
  soundingSteps: z.number(),
  /** Seconds that it took, and the most memory of the model and its decoders, in bytes. */
  seconds: z.number(),
  peakMemoryBytes: z.number(),
  worker: z.string(),
  finishedAt: z.string(),
});

/** What is known of a finished video. */
export type VideoRecord = Readonly<z.infer<typeof recordSchema>>;

/** Names a video under a plan: half of its SHA-256, and the plan's key. */
export function videoKey(sha256: string, plan: string): string {
  return `${sha256.slice(0, 32)}-${plan}`;
}

/** The folder of a video's results. It exists only once the results are complete. */
export function resultFolder(out: string, key: string): string {
  return path.join(out, key.slice(0, 2), key);
}

/** A new folder for results that are not complete. Removes what ended processes left of the same video. */
export async function partialResult(out: string, key: string): Promise<string> {
  const parent = path.join(out, partialFolder, key);
  await ensureWritableDir(parent);
  await removeStale(parent);
  return temporaryPath(parent);
}

/** Removes an incomplete folder, and its parent if it holds no other. */
export async function discardPartial(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  await rmdir(path.dirname(folder)).catch(() => undefined);
}

/**
 * Publishes results: their record is added, all is synced, and the folder is renamed to its final name in one step. Whoever
 * is first wins; the results of a second worker, which are the same, are discarded. Returns whether ours were published.
 */
export async function publishResult(
  partial: string,
  { out, key, record }: { readonly out: string; readonly key: string; readonly record: VideoRecord },
): Promise<boolean> {
  const target = resultFolder(out, key);
  try {
    await writeFileAtomic(path.join(partial, recordFile), `${JSON.stringify(record, null, 2)}\n`);
    await syncTree(partial);
    await ensureWritableDir(path.dirname(target));
    const first = await rename(partial, target).then(
      () => true,
      (error: unknown) => {
        if (["ENOTEMPTY", "EEXIST", "EPERM"].includes(errorCode(error) ?? "")) return false;
        throw error;
      },
    );
    if (first) await syncDir(path.dirname(target));
    // Other workers' folders of this video are of no use now; one that still writes there cannot publish any more.
    await rm(path.dirname(partial), { recursive: true, force: true }).catch(() => undefined);
    return first;
  } catch (error) {
    throw asOutputError(error, target);
  }
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(name);
    else {
      const handle = await open(name, "r+");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
  }
  await syncDir(folder);
}

/** The record of a result folder; `undefined` without a valid one. */
export async function readRecord(folder: string): Promise<VideoRecord | undefined> {
  const text = await readFile(path.join(folder, recordFile), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return recordSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** All result folders below `out`, sorted. */
export async function* resultFolders(out: string): AsyncGenerator<string, void, undefined> {
  const names = async (folder: string) =>
    (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith(".")).sort();
  for (const half of await names(out)) {
    if (!/^[0-9a-f]{2}$/.test(half)) continue;
    for (const key of await names(path.join(out, half))) yield path.join(out, half, key);
  }
}
