/** One opened model in the cache: what is recorded of it, and whether its files are still those that were written. */
import { readFile, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import * as z from "zod";
import { writeFileAtomic } from "../../node/files.js";
import { sha256Of, sha256OfFiles } from "../../node/sha256.js";
import { optimizedFiles } from "../../runtime/runtime.js";

const hex = z.string().regex(/^[0-9a-f]{64}$/);

/** What tells without reading it that a file is the one that was read before. Times are in nanoseconds. */
const stampSchema = z.strictObject({
  bytes: z.int().nonnegative(),
  inode: z.string(),
  modified: z.string(),
  changed: z.string(),
});
/** Size, identity and times of a file. */
export type FileStamp = z.infer<typeof stampSchema>;

const weightFileSchema = z.strictObject({ file: z.string(), sha256: z.string() }).readonly();

const recordSchema = z.strictObject({
  format: z.literal("avseg-opened-model-1"),
  /** What it was opened with: see `requestOf`. */
  request: hex,
  /** The files that it was made of, the checkpoint first. */
  sources: z.array(z.strictObject({ path: z.string(), stamp: stampSchema, sha256: hex })).min(1),
  /** Files that would have been read, had they been there. */
  absent: z.array(z.string()),
  /** Of the graph's file. */
  modelSha256: hex,
  weights: z.strictObject({ stamp: stampSchema, sha256: hex, boot: z.string() }),
  /** For people: the runtime, where it runs, and the processor. */
  runtime: z.string(),
  provider: z.string(),
  processor: z.string(),
  /** The model's configuration, as JSON. */
  config: z.string(),
  clipsPerRun: z.int().positive(),
  files: z.record(z.string(), weightFileSchema),
  trainedOn: z
    .strictObject({
      task: z.string(),
      data: z.string(),
      description: z.string().optional(),
      epochs: z.number(),
      best: z.strictObject({ epoch: z.number(), value: z.number() }).optional(),
    })
    .optional(),
  /** The hash of the audio encoder, where that runs apart: see `AudioEmbedder`. */
  audioEncoder: hex.optional(),
});
/** What is recorded of an opened model. */
export type ModelRecord = z.infer<typeof recordSchema>;

/** The name of the file that holds the record. Its time of modification is that of the last use. */
export const recordFile = "entry.json";

/** The stamp of a file; `undefined` where it cannot be read or is not a file. */
export async function stampOf(file: string): Promise<FileStamp | undefined> {
  const status = await stat(file, { bigint: true }).catch(() => undefined);
  if (!status?.isFile()) return undefined;
  return {
    bytes: Number(status.size),
    inode: String(status.ino),
    modified: String(status.mtimeNs),
    changed: String(status.ctimeNs),
  };
}

/** Whether two stamps are of the same file, unchanged. */
export const sameStamp = (a: FileStamp, b: FileStamp): boolean =>
  a.bytes === b.bytes && a.inode === b.inode && a.modified === b.modified && a.changed === b.changed;

/** SHA-256 of a file that does not change meanwhile; `undefined` where it does or cannot be read. */
export async function steadyHash(file: string, signal?: AbortSignal): Promise<string | undefined> {
  const before = await stampOf(file);
  const sha256 = await sha256OfFiles([file], signal).catch(() => undefined);
  const after = await stampOf(file);
  return before && after && sameStamp(before, after) ? sha256 : undefined;
}

/**
 * What changes when the machine starts again: files written shortly before a power cut can have lost content without a
 * trace in their times, so that they are read in full once.
 */
export async function bootId(): Promise<string> {
  const id = await readFile("/proc/sys/kernel/random/boot_id", "latin1").catch(() => undefined);
  return id?.trim() ?? String(Math.round((Date.now() / 1000 - os.uptime()) / 60));
}

/** Reads the record of the entry in `folder`; `undefined` where it is missing or damaged. */
export async function readRecord(folder: string): Promise<ModelRecord | undefined> {
  try {
    const json: unknown = JSON.parse(await readFile(path.join(folder, recordFile), "utf8"));
    return recordSchema.safeParse(json).data;
  } catch {
    return undefined;
  }
}

/** Writes the record of the entry in `folder`. Throws `OutputError`. */
export function writeRecord(folder: string, record: ModelRecord): Promise<void> {
  return writeFileAtomic(path.join(folder, recordFile), JSON.stringify(record, null, 1), { durable: false });
}

/**
 * The record, with present stamps, if the sources are those that the entry was made of: `checkpoint`, which may be a copy
 * elsewhere, and the others. `undefined` where one has changed.
 */
export async function matchSources(
  record: ModelRecord,
  checkpoint: string,
): Promise<ModelRecord | undefined> {
  const sources: ModelRecord["sources"] = [];
  for (const [i, source] of record.sources.entries()) {
    const file = i === 0 ? checkpoint : source.path;
    const stamp = await stampOf(file);
    if (stamp === undefined || stamp.bytes !== source.stamp.bytes) return undefined;
    const isKnown = file === source.path && sameStamp(stamp, source.stamp);
    if (!isKnown && (await steadyHash(file)) !== source.sha256) return undefined;
    sources.push(isKnown ? source : { ...source, path: file, stamp });
  }
  for (const file of record.absent) if ((await stampOf(file)) !== undefined) return undefined;
  return sources.every((source, i) => source === record.sources[i]) ? record : { ...record, sources };
}

/** A record whose files are as they were written, and the content of the smaller one. */
export interface IntactEntry {
  readonly record: ModelRecord;
  readonly model: Uint8Array<ArrayBuffer>;
}

/** The entry in `folder` if its files are those that were written; `undefined` where one is damaged or missing. */
export async function intactEntry(folder: string, record: ModelRecord): Promise<IntactEntry | undefined> {
  const model = await readFile(path.join(folder, optimizedFiles.model)).catch(() => undefined);
  if (model === undefined || sha256Of(model) !== record.modelSha256) return undefined;
  const weights = path.join(folder, optimizedFiles.weights);
  const [stamp, boot] = [await stampOf(weights), await bootId()];
  if (stamp === undefined || stamp.bytes !== record.weights.stamp.bytes) return undefined;
  const bytes = new Uint8Array(model);
  if (sameStamp(stamp, record.weights.stamp) && boot === record.weights.boot) return { record, model: bytes };
  if ((await steadyHash(weights)) !== record.weights.sha256) return undefined;
  return { record: { ...record, weights: { ...record.weights, stamp, boot } }, model: bytes };
}
