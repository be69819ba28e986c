/** A split whose clips are decoded when they are asked for, wherever their files lie. */
import { DatasetError } from "../../errors.js";
import type { AvsDataset } from "../clip.js";
import type { ShardRange } from "../shards/format.js";
import type { ClipRequest } from "./clip-request.js";
import { type ClipFiles, layouts } from "./layout.js";
import { loadClip } from "./load-clip.js";
import { loadWaveform } from "./load-sound.js";
import type { OpenOptions } from "./open-options.js";

/** One clip. */
export interface StoredClip {
  readonly files: ClipFiles;
  /** Where the files lie, if not in the folder. */
  readonly shard?: ShardRange | undefined;
}

/** What all clips of a split share. */
export interface ClipDatasetOptions extends Omit<OpenOptions, "root" | "rank" | "ranks" | "onWarning"> {
  /** The folder of the task, or what names the dataset in messages. */
  readonly folder: string;
  readonly classes: readonly string[];
}

/** The dataset of these clips, in this order. Throws `DatasetError` for more steps than the clips of S4 and MS3 have. */
export function clipDataset(clips: readonly StoredClip[], options: ClipDatasetOptions): AvsDataset {
  const { task, split, folder, classes, imageSize } = options;
  const { frameCount = layouts[task].frameCount, maskSize = imageSize } = options;
  const { audio = "auto", waves = false, soundSeconds = frameCount } = options;
  const shortest = Math.min(...clips.map(({ files }) => files.frames.length));
  if (task !== "avss" && frameCount > shortest) {
    throw new DatasetError(`${task}: expected at most ${shortest} steps per clip, got ${frameCount}`, {
      hint: "Lower data.frameCount.",
    });
  }
  const form = { imageSize, maskSize, frameCount, soundSeconds, audio, waves };
  const shared = { task, folder, classCount: classes.length, ...form };
  const requests = clips.map(({ files, shard }): ClipRequest => ({ ...shared, files, shard }));
  const requestOf = (index: number): ClipRequest => {
    const request = requests[index];
    if (!request) throw new RangeError(`dataset: clip ${index} of ${requests.length}`);
    return request;
  };
  return {
    task,
    split,
    classes,
    frameCount,
    entries: clips.map(({ files: { id, category, sounds } }) => ({ id, category, sounds })),
    load: async (index, decode = loadClip) => decode(requestOf(index)),
    loadWaveform: async (index) => loadWaveform(requestOf(index)),
  };
}
