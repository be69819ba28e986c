/** Converts raw videos to AVSBench's layout, as published: frames, 16 kHz sound, log-mels. */

import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { AvsegError, DatasetError, OutputError } from "../../errors.js";
import { fitExamples, VGGISH_RATE_HZ } from "../../media/log-mel.js";
import { encodeFrame } from "../../media/node/image-file.js";
import { probeVideo } from "../../media/node/probe-video.js";
import { readFrames, readMonoSound } from "../../media/node/read-video.js";
import type { StepFrame, VideoInfo } from "../../media/video.js";
import { isVideoName, videoExtensions } from "../../media/video-names.js";
import { encodeWav, readWav, toMono } from "../../media/wav.js";
import { defaultImageSize } from "../../models/base-config.js";
import { writeFileAtomic } from "../../node/files.js";
import { lockBeside, withLock } from "../../node/lock.js";
import type { CountedProgress } from "../../progress.js";
import type { Task } from "../clip.js";
import { mapConcurrent } from "../concurrent.js";
import { type ClipFiles, filesOfRow, layouts } from "./layout.js";
import { encodeTensorPickle } from "./log-mel-pickle.js";
import { missingFiles, readText } from "./open-dataset.js";
import { formatTable, parseTable, type Table } from "./table.js";

/** Options of `prepareDataset`. */
export interface PrepareOptions {
  readonly task: Task;
  /** Folder with the raw videos, in any subfolders; the video of a clip has the name of the clip. */
  readonly videos: string;
  /** Metadata table with the columns of the task. */
  readonly table: string;
  /** The root to write under; the task gets its own folder there. */
  readonly root: string;
  /** Height and width of the frames. Default: 224. AVSS frames keep the size of the video. */
  readonly imageSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CountedProgress & { readonly id: string }) => void) | undefined;
}

/** A clip that could not be prepared, and why. */
export interface PrepareFailure {
  readonly id: string;
  readonly message: string;
  readonly hint: string | undefined;
}

/** What `prepareDataset` did. */
export interface PreparedDataset {
  /** The task's folder. */
  readonly folder: string;
  /** Clips written now. */
  readonly prepared: number;
  /** Clips that an earlier run had already written. */
  readonly present: number;
  readonly failures: readonly PrepareFailure[];
  /** For every clip without masks, which preparation cannot make, the path of the first missing one. */
  readonly missingMasks: readonly string[];
}

/** Videos decoded at a time; each decoder is a process that uses several cores. */
const videosAtOnce = 2;

/**
 * Prepares all clips of a table. The frame of a step is the last of 16 samples of its second; a clip starts at the
 * start of its video. Existing clips are kept. A video that cannot be used is reported and omitted from the table that
 * is written; the other videos are prepared. Throws `DatasetError` for a malformed table or a missing folder,
 * `LockedError` when another process prepares into the same folder, `OutputError`, and the signal's reason.
 *
 * @example
 * const table = "Single-source/s4_meta_data.csv";
 * const { prepared, failures } = await prepareDataset({ task: "s4", root: "data", table, videos: "raw_videos" });
 */
export async function prepareDataset(options: PrepareOptions): Promise<PreparedDataset> {
  const { task } = options;
  const { columns } = layouts[task];
  const text = await readText(options.table, `Give a CSV file with the columns ${columns.join(",")}.`);
  const table = parseTable(text, { source: options.table, required: columns });
  const files = table.rows.map((row) => filesOfRow(task, row, table.source));
  const videos = await indexVideos(options.videos);
  const folder = path.join(options.root, layouts[task].folder);
  const lock = { what: folder, task: "avseg data prepare", otherwise: "choose another root with --out" };
  return withLock(lockBeside(folder), lock, () => prepareTable({ folder, table, files, videos }, options));
}

/** A table, and where its clips come from and go to. */
interface Preparation {
  readonly folder: string;
  readonly table: Table;
  /** The files of every row. */
  readonly files: readonly ClipFiles[];
  /** Video files by name without extension. */
  readonly videos: ReadonlyMap<string, readonly string[]>;
}

async function prepareTable(
  { folder, table, files, videos }: Preparation,
  options: PrepareOptions,
): Promise<PreparedDataset> {
  const { task, signal } = options;
  const failures: PrepareFailure[] = [];
  const usable = new Set<ClipFiles>();
  const missingMasks: string[] = [];
  let present = 0;
  let done = 0;
  await mapConcurrent(files, videosAtOnce, async (clip) => {
    signal?.throwIfAborted();
    try {
      const missing = await missingFiles(folder, clip, "wav");
      const masks = new Set(clip.masks);
      if (missing.every((file) => masks.has(file))) present++;
      else await prepareClip(clip, findVideo(videos, clip, options.videos), { ...options, folder });
      usable.add(clip);
      const lacking = missing.find((file) => masks.has(file));
      if (lacking !== undefined) missingMasks.push(path.join(folder, lacking));
    } catch (error) {
      // A bad video must not stop the others; a full disk must.
      if (!(error instanceof AvsegError) || error instanceof OutputError) throw error;
      failures.push({ id: clip.id, message: error.message, hint: error.hint });
    }
    options.onProgress?.({ done: ++done, total: files.length, id: clip.id });
  });
  const target = path.join(folder, layouts[task].table);
  const rows = table.rows.filter((_, i) => usable.has(files[i] as ClipFiles));
  const values = rows.map((row) => table.columns.map((column) => row.values[column] ?? ""));
  if (path.resolve(target) !== path.resolve(options.table)) {
    await writeFileAtomic(target, formatTable(table.columns, values));
  }
  return { folder, prepared: usable.size - present, present, failures, missingMasks: missingMasks.sort() };
}

/** All video files below a folder by name without extension. Throws `DatasetError`. */
async function indexVideos(root: string): Promise<Map<string, string[]>> {
  const found = await stat(root).catch(() => undefined);
  if (!found?.isDirectory()) {
    throw new DatasetError(`${root}: expected a folder of videos`, { hint: "Check the path." });
  }
  const index = new Map<string, string[]>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const { name } = path.parse(entry.name);
    if (!entry.isFile() || !isVideoName(entry.name)) continue;
    const file = path.join(entry.parentPath, entry.name);
    index.set(name, [...(index.get(name) ?? []), file]);
  }
  return index;
}

/** The video of a clip; of several, the one in a folder named like its category or split. */
function findVideo(videos: Preparation["videos"], clip: ClipFiles, root: string): string {
  const named = videos.get(clip.id) ?? [];
  const narrowed = [clip.category, clip.split].reduce((files: readonly string[], part) => {
    const inside = files.filter((file) => path.relative(root, file).split(path.sep).includes(part));
    return inside.length > 0 ? inside : files;
  }, named);
  const [video] = narrowed;
  if (video === undefined) {
    throw new DatasetError(`${root}: no video ${clip.id} (${videoExtensions.join(", ")})`, {
      hint: `Add it, or remove line ${clip.line} of the table.`,
    });
  }
  if (narrowed.length > 1) {
    throw new DatasetError(`${root}: ${narrowed.length} videos are named ${clip.id}, e.g. ${video}`, {
      hint: "Keep one, or put them into folders named like the category or the split.",
    });
  }
  return video;
}

async function prepareClip(
  clip: ClipFiles,
  video: string,
  { folder, task, imageSize = defaultImageSize, signal }: PrepareOptions & { readonly folder: string },
): Promise<void> {
  const cancel = { signal };
  const info = await probeVideo(video, cancel);
  const { width, height } = task === "avss" ? info : { width: imageSize, height: imageSize };
  const frames: StepFrame[] = [];
  for await (const frame of readFrames(info, { width, height, ...cancel })) {
    frames.push(frame);
    if (frames.length === clip.frames.length) break;
  }
  if (frames.length < clip.frames.length) {
    throw new DatasetError(`${video}: expected ${clip.frames.length} s of video, found ${frames.length}`, {
      hint: "Cut the clip again from its source.",
    });
  }
  const bytes = await readSound(info, clip.frames.length, cancel);
  for (const [t, { rgb }] of frames.entries()) {
    const file = path.join(folder, clip.frames[t] as string);
    const image = await encodeFrame(file, { dtype: "u8", shape: [height, width, 3], data: rgb });
    await writeFileAtomic(file, image, cancel);
  }
  if (clip.pickle !== undefined) {
    const sound = readWav(bytes, video);
    const logMel = fitExamples(toMono(sound), sound.sampleRateHz, clip.frames.length);
    await writeFileAtomic(path.join(folder, clip.pickle), encodeTensorPickle(logMel), cancel);
  }
  // The sound is written last: its presence marks the clip as complete.
  await writeFileAtomic(path.join(folder, clip.wav), bytes, cancel);
}

/** The first `seconds` of the sound as a 16 kHz WAV file. */
async function readSound(
  info: VideoInfo,
  seconds: number,
  cancel: { signal?: AbortSignal | undefined },
): Promise<Uint8Array> {
  const samples = new Float32Array(seconds * VGGISH_RATE_HZ);
  let filled = 0;
  for await (const piece of readMonoSound(info, { sampleRateHz: VGGISH_RATE_HZ, ...cancel })) {
    const part = piece.subarray(0, samples.length - filled);
    samples.set(part, filled);
    filled += part.length;
    if (filled === samples.length) break;
  }
  if (filled === 0) {
    throw new DatasetError(`${info.path}: the video has no sound, which a clip needs`, {
      hint: "Remove its row from the table.",
    });
  }
  return encodeWav({ sampleRateHz: VGGISH_RATE_HZ, channels: [samples.slice(0, filled)] });
}
