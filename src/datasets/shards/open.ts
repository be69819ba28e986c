/** Opens a split of a dataset in shards. */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { DatasetError } from "../../errors.js";
import { clipDataset } from "../avsbench/clip-dataset.js";
import { filesOf, layouts } from "../avsbench/layout.js";
import type { OpenOptions } from "../avsbench/open-options.js";
import type { AvsDataset, Task } from "../clip.js";
import { type ShardClip, type ShardIndex, shardIndexFile, shardIndexSchema } from "./format.js";
import { isAddress, readSmall } from "./read.js";

/** An index, and the place that its shards lie in. */
export interface OpenIndex {
  readonly index: ShardIndex;
  /** Path or address of the index. */
  readonly source: string;
}

/** A million clips take some 150 MB. */
const maxIndexBytes = 2 ** 30;
const hint =
  "Make the shards with `avseg data shard`, and give the folder or address that holds shards.json.";

/**
 * The index of a task's shards: at `root`, in the folder of the task below it, or `root` itself. `undefined` where a folder
 * has none. Throws `DatasetError` for an address without one, and for a damaged one.
 */
export async function findShards(task: Task, root: string): Promise<OpenIndex | undefined> {
  const { folder } = layouts[task];
  const places = root.endsWith(".json")
    ? [root]
    : [join(root, folder, shardIndexFile), join(root, shardIndexFile)];
  for (const source of places) {
    const text = isAddress(source) ? await readSmall(source, maxIndexBytes) : await readLocal(source);
    if (text !== undefined) return { index: parseIndex(text, source, task), source };
  }
  if (!isAddress(root)) return undefined;
  throw new DatasetError(
    `${root}: the server has no ${places.map((place) => place.slice(root.length)).join(" and no ")}`,
    {
      hint,
    },
  );
}

function join(root: string, ...parts: string[]): string {
  return isAddress(root) ? [root.replace(/\/+$/, ""), ...parts].join("/") : path.join(root, ...parts);
}

async function readLocal(file: string): Promise<string | undefined> {
  const status = await stat(file).catch(() => undefined);
  if (!status?.isFile()) return undefined;
  if (status.size <= maxIndexBytes) return readFile(file, "utf8");
  throw new DatasetError(`${file}: ${status.size} bytes, expected at most ${maxIndexBytes}`, { hint });
}

function parseIndex(text: string, source: string, task: Task): ShardIndex {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DatasetError(`${source}: not valid JSON`, { hint, cause });
  }
  const parsed = shardIndexSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new DatasetError(`${source}: ${issue?.path.join(".")}: ${issue?.message}`, { hint });
  }
  if (parsed.data.task !== task) {
    throw new DatasetError(`${source}: shards of ${parsed.data.task}, expected ${task}`, { hint });
  }
  return parsed.data;
}

/** Opens a split. Throws `DatasetError` for a split without clips, and for more ranks than shards. */
export function openShards({ index, source }: OpenIndex, options: OpenOptions): AvsDataset {
  const { task, split, rank = 0, ranks = 1 } = options;
  const part = index.splits[split];
  if (part === undefined) {
    throw new DatasetError(`${source}: it has no clips of the split "${split}"`, {
      hint: "Choose another split.",
    });
  }
  if (ranks > part.shards.length) {
    throw new DatasetError(
      `${source}: ${part.shards.length} shards of ${split}, expected at least ${ranks}, one for each rank`,
      {
        hint: "Make smaller shards with `avseg data shard --clips N`, or use fewer ranks.",
      },
    );
  }
  const clips = part.clips.filter(({ shard }) => shard % ranks === rank);
  return clipDataset(
    clips.map((clip) => ({
      files: { ...filesOf(task, { ...clip, split }), sounds: clip.sounds },
      shard: rangeOf(clip, part.shards, source),
    })),
    { ...options, folder: source, classes: classesOf({ index, source }) },
  );
}

/** The class names of a dataset in shards. Throws `DatasetError` where AVSS has none. */
export function classesOf({ index, source }: OpenIndex): readonly string[] {
  if (index.task !== "avss") return ["background", "sounding"];
  if (index.classes !== undefined) return index.classes;
  throw new DatasetError(`${source}: its classes are missing`, { hint });
}

function rangeOf({ shard, offset, bytes, sha256 }: ShardClip, shards: readonly string[], source: string) {
  const name = shards[shard];
  if (name === undefined) {
    throw new DatasetError(`${source}: a clip lies in shard ${shard} of ${shards.length}`, { hint });
  }
  const folder = isAddress(source) ? source.slice(0, source.lastIndexOf("/")) : path.dirname(source);
  return { source: join(folder, name), offset, bytes, sha256 };
}
