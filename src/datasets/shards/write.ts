/** Writes a dataset as shards. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Header } from "tar";
import { DatasetError, OutputError } from "../../errors.js";
import { ensureWritableDir, removeStale, writeFileAtomic } from "../../node/files.js";
import { lockInside, withLock } from "../../node/lock.js";
import { sha256Of } from "../../node/sha256.js";
import { readFailure } from "../../node/system-error.js";
import type { Progress } from "../../progress.js";
import { type ClipFiles, layouts } from "../avsbench/layout.js";
import { datasetClasses, listClips } from "../avsbench/open-dataset.js";
import type { Split, Task } from "../clip.js";
import { type ShardClip, type ShardIndex, shardIndexFile, shardParts } from "./format.js";

/** Options of `writeShards`. */
export interface WriteShardsOptions {
  readonly task: Task;
  /** The root of AVSBench, or the folder of the task. */
  readonly root: string;
  /** The folder to write the folder of the task into. */
  readonly out: string;
  /** Clips per shard. Default: 256. */
  readonly clipsPerShard?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the clips written so far, and of all. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** What was written. */
export interface WrittenShards {
  /** The folder with the index and the shards. */
  readonly folder: string;
  readonly shards: number;
  readonly clips: number;
  readonly bytes: number;
}

const splits: readonly Split[] = ["train", "val", "test"];

/**
 * Writes a dataset in AVSBench's layout as shards. The files of the clips are copied as they are; the same dataset gives the
 * same bytes. The index is written last: without it a folder is not a dataset. Throws `DatasetError` for files that
 * are missing, `OutputError` where a dataset lies there already, and the signal's reason on abort.
 */
export async function writeShards(options: WriteShardsOptions): Promise<WrittenShards> {
  const { task, root, clipsPerShard = 256, signal, onProgress, onWarning } = options;
  const folder = path.join(options.out, layouts[task].folder);
  const indexFile = path.join(folder, shardIndexFile);
  await ensureWritableDir(folder);
  const lock = { what: folder, task: "avseg data shard", otherwise: "choose another folder with --out" };
  return withLock(lockInside(folder), lock, async () => {
    if (existsSync(indexFile)) {
      throw new OutputError(`${indexFile}: a dataset in shards lies there already`, {
        hint: "Choose another folder with --out, or remove that one.",
      });
    }
    await removeStale(folder);
    const listed = await Promise.all(
      splits.map(async (split) => ({ split, ...(await listClips({ task, root, split, onWarning })) })),
    );
    const total = listed.reduce((sum, { files }) => sum + files.length, 0);
    const counts = { shards: 0, clips: 0, bytes: 0 };
    const index: ShardIndex = {
      format: "avseg-shards-1",
      task,
      ...(task === "avss" ? { classes: [...(await datasetClasses(task, root))] } : {}),
      splits: {},
    };
    for (const { split, folder: from, files } of listed) {
      if (files.length === 0) continue;
      const part: { shards: string[]; clips: ShardClip[] } = { shards: [], clips: [] };
      for (let start = 0; start < files.length; start += clipsPerShard) {
        const name = `${split}-${String(part.shards.length).padStart(6, "0")}.tar`;
        const pieces = tarOf({ from, split, start, files: files.slice(start, start + clipsPerShard) });
        const counted = async function* () {
          for await (const { bytes, clip } of pieces) {
            if (clip !== undefined) {
              part.clips.push({ ...clip, shard: part.shards.length });
              counts.clips++;
              onProgress?.({ done: counts.clips, total });
            }
            counts.bytes += bytes.length;
            yield bytes;
          }
        };
        await writeFileAtomic(path.join(folder, name), counted(), signal === undefined ? {} : { signal });
        part.shards.push(name);
        counts.shards++;
      }
      index.splits[split] = part;
    }
    await writeFileAtomic(indexFile, `${JSON.stringify(index)}\n`);
    return { folder, ...counts };
  });
}

/** The pieces of one tar file: each clip's files at once, then what ends the file. */
async function* tarOf({
  from,
  split,
  start,
  files,
}: {
  readonly from: string;
  readonly split: Split;
  readonly start: number;
  readonly files: readonly ClipFiles[];
}): AsyncGenerator<{ bytes: Uint8Array; clip?: Omit<ShardClip, "shard"> | undefined }> {
  let offset = 0;
  for (const [i, clip] of files.entries()) {
    const key = `${split}-${String(start + i).padStart(8, "0")}`;
    const bytes = await clipEntries(from, clip, key);
    const sha256 = sha256Of(bytes).slice(0, 16);
    const { id, category, sounds } = clip;
    yield { bytes, clip: { id, category, sounds: [...sounds], offset, bytes: bytes.length, sha256 } };
    offset += bytes.length;
  }
  yield { bytes: new Uint8Array(1024) };
}

/** The tar entries of a clip: what it is, as WebDataset's readers take it, and its files. */
async function clipEntries(folder: string, clip: ClipFiles, key: string): Promise<Uint8Array> {
  const { id, category, sounds, split } = clip;
  const about = Buffer.from(JSON.stringify({ id, category, sounds, split }));
  const parts = [entry(`${key}.json`, about)];
  for (const [file, part] of shardParts(clip)) {
    const content = await readFile(path.join(folder, file)).catch((cause: unknown) => {
      const reason = readFailure(cause);
      if (reason === undefined) throw cause;
      const isSound = file === clip.wav || file === clip.pickle;
      if (isSound && reason === "there is no such file") return undefined; // the clip has its sound in the other form
      throw new DatasetError(`clip ${id}: cannot read ${path.join(folder, file)}: ${reason}`, {
        hint: "`avseg data check` lists everything that is wrong.",
        cause,
      });
    });
    if (content !== undefined) parts.push(entry(`${key}.${part}`, content));
  }
  return Buffer.concat(parts);
}

/** A tar entry: header, content, and zeros up to a multiple of 512 bytes. */
function entry(name: string, content: Uint8Array): Buffer {
  const header = new Header({
    ...{ path: name, type: "File", mode: 0o644, uid: 0, gid: 0, size: content.length },
    mtime: new Date(0), // so that the same dataset gives the same bytes
  });
  const block = Buffer.alloc(512);
  header.encode(block);
  return Buffer.concat([block, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}
