/**
 * Imports one's own labeled videos as a dataset in AVSBench's layout. The source has a simple form:
 *
 *     clips/kitchen.mp4          a video of any length
 *     clips/kitchen/0.png ...    masks: the number in the name is the second whose last frame is marked
 *
 * Masks have the video's displayed size. They are 255 where something sounds and 0 elsewhere; for AVSS they hold the
 * number of the class that sounds, or its color. Videos may lie in subfolders; for S4 the subfolder is the category.
 */

import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { DatasetError, OutputError } from "../../errors.js";
import { defaultImageSize } from "../../models/base-config.js";
import { lockBeside, withLock } from "../../node/lock.js";
import type { CountedProgress } from "../../progress.js";
import { filesOf, layouts } from "../avsbench/layout.js";
import { type ClipRow, writeTables } from "../avsbench/write-tables.js";
import type { Split, Task } from "../clip.js";
import { checkMasks, type MaskFile } from "./masks.js";
import { type ClipWindow, clipSteps, cutWindows, scanFolder, type UnusedFiles, unusedFiles } from "./scan.js";
import { type SplitOptions, splitWindows } from "./split.js";
import { type PlannedClip, writeClips } from "./write.js";

export type { UnusedFiles } from "./scan.js";

/** Options of `importDataset`. */
export interface ImportOptions extends SplitOptions {
  /** `ms3`, `avss`: every second of a clip has a mask. `s4`: training clips need one for their first second only. */
  readonly task: Task;
  /** Names of what may sound, for AVSS: the first is class 1, and 0 is the background. */
  readonly classes?: readonly string[] | undefined;
  /** Folder of videos, with their folders of masks beside them. */
  readonly source: string;
  /** The root to write under; the task gets its own folder there. */
  readonly root: string;
  /** Height and width of the frames. Default: 224. */
  readonly imageSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after every clip. */
  readonly onProgress?: ((progress: CountedProgress) => void) | undefined;
}

/** What `importDataset` wrote. */
export interface ImportedDataset {
  readonly folder: string;
  /** Clips per split. */
  readonly clips: Readonly<Record<Split, number>>;
  /** Videos, masks and other pictures of the source that are in no clip. */
  readonly unused: readonly UnusedFiles[];
}

const background = "background";

/** What `areClassNames` requires, for messages. */
export const expectedClassNames = `expected 1 to 255 different names other than "${background}"`;

/** Whether these can be the names of classes: a byte numbers them from 1 on. */
export function areClassNames(names: readonly string[]): boolean {
  const differ = new Set([background, "", ...names]).size === names.length + 2;
  return differ && names.length >= 1 && names.length <= 255;
}

/**
 * Imports a folder. Clips of one video stay in one split where there are three videos or more; fewer videos are
 * divided by time. Nothing is left behind on failure. Throws `DatasetError` for a folder without usable masks, for a
 * video without sound, and for masks that cannot be read or differ in size from their video (all of them in one error,
 * before anything is written); `OutputError` when the target folder is not empty or cannot be written; `LockedError`
 * when another process imports into it; `RangeError` for class names that are missing, too many or repeated; and the
 * signal's reason when aborted.
 *
 * @example
 * const { clips } = await importDataset({ task: "ms3", source: "my-clips", root: "data/mine" });
 */
export async function importDataset(options: ImportOptions): Promise<ImportedDataset> {
  const { task, root, classes = [] } = options;
  if ((task === "avss" || classes.length > 0) && !areClassNames(classes)) {
    throw new RangeError(`import: classes: ${expectedClassNames}`);
  }
  const folder = path.join(root, layouts[task].folder);
  const lock = { what: folder, task: "avseg data import", otherwise: "choose another root" };
  return withLock(lockBeside(folder), lock, async () => {
    await requireEmpty(folder);
    try {
      return await importInto(folder, options);
    } catch (error) {
      // The folder was empty, so everything in it is ours: half a dataset must not block the next attempt.
      await rm(folder, { recursive: true, force: true }).catch(() => undefined);
      throw error;
    }
  });
}

async function requireEmpty(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  if (names.length === 0) return;
  throw new OutputError(`${folder}: expected an empty folder, so that datasets are not mixed`, {
    hint: "Choose another root, or remove the folder.",
  });
}

async function importInto(folder: string, options: ImportOptions): Promise<ImportedDataset> {
  const { task, signal, imageSize = defaultImageSize, onProgress, classes = [] } = options;
  const source = await scanFolder(options.source, signal);
  const windows = source.videos.flatMap((video) => cutWindows(video, task));
  if (windows.length === 0) {
    const needed = task === "s4" ? "a mask and four seconds after it" : "five consecutive seconds with masks";
    throw new DatasetError(`${options.source}: no video has ${needed}`, {
      hint: "Name masks by their second: clip.mp4 with clip/0.png, clip/1.png, ...",
    });
  }
  const planned = planClips(windows, options);
  await checkMasks(planned.flatMap(maskFilesOf), options, signal);
  const rows: ClipRow[] = [];
  for (const video of source.videos) {
    const clips = planned.filter(({ window }) => window.video === video);
    await writeClips(video, clips, { folder, task, classes, imageSize, signal });
    for (const { files } of clips) {
      const { id, category, split } = files;
      rows.push({ id, category, split, sounding: video.category });
      onProgress?.({ done: rows.length, total: planned.length });
    }
  }
  await writeTables(folder, task, { clips: rows, classes: [background, ...classes] });
  const count = (split: Split): number => rows.filter((row) => row.split === split).length;
  const clips = { train: count("train"), val: count("val"), test: count("test") };
  return { folder, clips, unused: unusedFiles(source, windows) };
}

/** Names, splits and files of the clips that windows become. */
function planClips(windows: readonly ClipWindow[], options: ImportOptions): PlannedClip[] {
  return [...splitWindows(windows, options)].map(([window, split]) => {
    const { video, start } = window;
    const id = `${video.name}_${start}_${start + clipSteps}`;
    const category = options.task === "avss" ? "v1m" : video.category;
    return { window, files: filesOf(options.task, { id, category, split }) };
  });
}

/** The masks of the source that a clip takes. */
function maskFilesOf({ window: { video, start }, files }: PlannedClip): MaskFile[] {
  return files.masks.flatMap((target, t) => {
    const file = video.masks.get(start + t);
    return target === undefined || file === undefined ? [] : [{ file, info: video.info }];
  });
}
