/**
 * Datasets as tar files ("shards") in the manner of WebDataset: the files of a clip lie together, named `KEY.PART`, and
 * an index says where each clip lies, so that clips are read in any order, from disks and over HTTP.
 */
import * as z from "zod";
import { tasks } from "../../models/base-config.js";
import type { ClipFiles } from "../avsbench/layout.js";

/** The file beside the shards that lists them and their clips. */
export const shardIndexFile = "shards.json";

/** The clips of a shard are read whole; none has nearly as many bytes. */
const maxClipBytes = 2 ** 30;
const offset = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const name = z.string().min(1).max(1000);

/** Where the files of a clip lie, and what is known of it. */
const clipSchema = z.strictObject({
  id: name,
  category: z.string().max(1000),
  sounds: z.array(name).default([]),
  /** Index of its shard. */
  shard: offset,
  /** The first byte of its files in the shard, and how many there are. */
  offset,
  bytes: z.int().min(1024).max(maxClipBytes),
  /** The first 16 hex digits of the SHA-256 of these bytes. */
  sha256: z.string().regex(/^[0-9a-f]{16}$/),
});
/** Where the files of a clip lie, and what is known of it. */
export type ShardClip = Readonly<z.infer<typeof clipSchema>>;

const splitSchema = z.strictObject({
  /** The names of the tar files, beside the index. */
  shards: z.array(z.string().regex(/^\w[\w-]*\.tar$/)),
  /** In the order of the dataset. */
  clips: z.array(clipSchema).min(1),
});

/** The index of a dataset in shards. */
export const shardIndexSchema = z.strictObject({
  format: z.literal("avseg-shards-1"),
  task: z.enum(tasks),
  /** Class names by index; AVSS only. */
  classes: z.array(name).min(2).max(256).optional(),
  splits: z.strictObject({
    train: splitSchema.optional(),
    val: splitSchema.optional(),
    test: splitSchema.optional(),
  }),
});
/** The index of a dataset in shards. */
export type ShardIndex = z.infer<typeof shardIndexSchema>;

/** The place of a clip's files in a shard. */
export interface ShardRange {
  /** Path or address of the shard. */
  readonly source: string;
  readonly offset: number;
  readonly bytes: number;
  /** The first hex digits of the SHA-256 of these bytes. */
  readonly sha256: string;
}

/** The parts of a clip in a shard, by the names of its files in the layout: `frame0.png`, `mask0.png`, `audio.wav`. */
export function shardParts(files: ClipFiles): Map<string, string> {
  const ending = (file: string): string => /\.\w+$/.exec(file)?.[0] ?? "";
  const parts = new Map<string, string>();
  for (const [i, file] of files.frames.entries()) parts.set(file, `frame${i}${ending(file)}`);
  for (const [i, file] of files.masks.entries()) {
    if (file !== undefined) parts.set(file, `mask${i}${ending(file)}`);
  }
  parts.set(files.wav, "audio.wav");
  if (files.pickle !== undefined) parts.set(files.pickle, "logmel.pkl");
  return parts;
}
