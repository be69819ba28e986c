/** What a clip is decoded from: its files, in a folder or in a shard, and the form that they get. */
import { access } from "node:fs/promises";
import path from "node:path";
import { DatasetError } from "../../errors.js";
import type { InputFile } from "../../media/node/input-file.js";
import type { Task } from "../clip.js";
import { type ShardRange, shardParts } from "../shards/format.js";
import { readShardClip } from "../shards/read.js";
import type { ClipFiles } from "./layout.js";

/** Source of a clip's log-mels: the pickle if there is one, else the WAV file (`auto`); or only one of them. */
export type AudioSource = "auto" | "pkl" | "wav";

/** Everything that determines the decoded clip; plain data, so that it can be sent to a worker. */
export interface ClipRequest {
  readonly task: Task;
  /** The folder of the task. */
  readonly folder: string;
  readonly files: ClipFiles;
  readonly imageSize: number;
  readonly maskSize: number;
  readonly frameCount: number;
  /** Seconds of the clip's samples, with `waves`. */
  readonly soundSeconds: number;
  /** Number of classes, background included; AVSS only. */
  readonly classCount: number;
  readonly audio: AudioSource;
  /** Where the clip's files lie, if not in the folder. */
  readonly shard?: ShardRange | undefined;
  /** Whether the clip's sound is loaded as samples instead of log-mels. */
  readonly waves: boolean;
}

/** The files of one clip by their names in the layout. */
export interface ClipStore {
  at(name: string): InputFile;
  has(name: string): Promise<boolean>;
}

/** The files of a clip: in the folder, or read at once from a shard. Throws `DatasetError` for a damaged shard. */
export async function openClipFiles({ folder, files, shard }: ClipRequest): Promise<ClipStore> {
  if (shard === undefined) {
    return {
      at: (name) => path.join(folder, name),
      has: (name) =>
        access(path.join(folder, name)).then(
          () => true,
          () => false,
        ),
    };
  }
  const parts = shardParts(files);
  const found = await readShardClip(shard);
  const bytesOf = (name: string): Uint8Array | undefined => found.get(parts.get(name) ?? "");
  return {
    at: (name) => {
      const bytes = bytesOf(name);
      if (bytes !== undefined) return { name: `${shard.source}: ${name}`, bytes };
      throw new DatasetError(`${shard.source}: ${name} is missing`, {
        hint: "Make the shards again with `avseg data shard`.",
      });
    },
    has: async (name) => bytesOf(name) !== undefined,
  };
}
