/**
 * One's own labelled videos to a training set in AVSBench's layout. The form is as simple as it gets:
 *
 *     clips/kitchen.mp4          a video of any length
 *     clips/kitchen/0.png ...    masks: the number in the name is the second whose last frame is marked
 *
 * Masks have the video's displayed size, 255 where something sounds and 0 elsewhere; for AVSS they say what
 * sounds, by the number of its class or in the class's colour. Videos may lie in subfolders; for S4 the
 * subfolder is the category.
 */
import { readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { AvsegError, DatasetError, listSome, OutputError } from "../../errors.js";
import { VGGISH_RATE_HZ } from "../../media/log-mel.js";
import { ffmpegBackend } from "../../media/node/ffmpeg.js";
import { encodeFrame, encodePng, readRgb } from "../../media/node/image-file.js";
import { labelPicture } from "../../media/palette.js";
import { type Image, resizeNearest, imageSize as sizeOfImage } from "../../media/resize.js";
import type { VideoInfo } from "../../media/video.js";
import { encodeWav } from "../../media/wav.js";
import { ensureWritableDir, writeFileAtomic } from "../../node/files.js";
import { asOutputError } from "../../node/system-error.js";
import { hashText, Random } from "../../random.js";
import { type ClipFiles, filesOf, layouts } from "../avsbench/layout.js";
import { classesOf, readBinary } from "../avsbench/load-clip.js";
import { type ClipRow, writeTables } from "../avsbench/write-tables.js";
import type { Split, Task } from "../clip.js";
import { mapConcurrent } from "../concurrent.js";

/** Options of `importDataset`. */
export interface ImportOptions {
  /** `ms3`, `avss`: every second of a clip has a mask. `s4`: training clips need one for their first second only. */
  readonly task: Task;
  /** Names of what may sound, for AVSS: the first is class 1, and 0 is the background. */
  readonly classes?: readonly string[] | undefined;
  /** Folder of videos and of mask folders beside them. */
  readonly source: string;
  /** The root to write under; the task gets its folder there. */
  readonly root: string;
  /** Height and width of the frames; default 224. */
  readonly imageSize?: number | undefined;
  /** Shares of the clips kept for validation and testing; default 0.15 each. */
  readonly valShare?: number | undefined;
  readonly testShare?: number | undefined;
  /** Decides which videos go to which split; default 123. */
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** What `importDataset` wrote. */
export interface ImportedDataset {
  readonly folder: string;
  readonly clips: Readonly<Record<Split, number>>;
  /** What lies in the source and is in no clip: videos, masks and other pictures. */
  readonly unused: readonly UnusedFiles[];
}

/** Files of the source that are left out for the same reason. */
export interface UnusedFiles {
  /** Why, as a clause: `as no clip of five seconds takes them`. */
  readonly reason: string;
  /** Paths below the source, sorted. */
  readonly files: readonly string[];
}

/** What a source holds. */
interface Source {
  /** Paths of all its files, sorted. */
  readonly files: readonly string[];
  /** Its videos that have masks. */
  readonly videos: readonly LabelledVideo[];
}

/** A video with its masks by second. */
interface LabelledVideo {
  readonly info: VideoInfo;
  readonly name: string;
  readonly category: string;
  readonly masks: ReadonlyMap<number, string>;
}

/** A clip to write: where it comes from, and the files that it becomes. */
interface Entry {
  readonly window: Window;
  readonly files: ClipFiles;
}

/** Five seconds of a video that become a clip. */
interface Window {
  readonly video: LabelledVideo;
  readonly start: number;
  /** All five seconds have masks. */
  readonly whole: boolean;
}

const steps = 5;
/** Masks decoded at a time. */
const masksAtOnce = 4;
const background = "background";
const picturePattern = /\.(png|jpe?g)$/i;
const videoPattern = /\.(mp4|m4v|mov|mkv|webm|avi|mpg|mpeg)$/i;

/**
 * Imports a folder. Clips of one video stay in one split where there are three videos or more; of fewer,
 * their time is divided. Throws `DatasetError` for a folder without usable masks, masks that cannot be read or have
 * another size than their video (all of them in one error, before anything is written) or a video without sound,
 * `OutputError`, `RangeError` for classes that are missing, too many or named twice, and the signal's reason when
 * aborted.
 */
export async function importDataset(options: ImportOptions): Promise<ImportedDataset> {
  checkClasses(options);
  const folder = path.join(options.root, layouts[options.task].folder);
  await requireEmpty(folder);
  try {
    return await importInto(folder, options);
  } catch (error) {
    // It was empty, so all of it is ours: half a dataset must not stand in the way of the next try.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
}

function checkClasses({ task, classes = [] }: ImportOptions): void {
  if ((task === "avss" || classes.length > 0) && !areClassNames(classes)) {
    throw new RangeError(`import: for its classes ${expectedClassNames}`);
  }
}

/** What `areClassNames` demands, for messages. */
export const expectedClassNames = `expected 1 to 255 different names, none of them ${background}`;

/** Whether these can be the names of what may sound, which a byte numbers from 1 on. */
export function areClassNames(names: readonly string[]): boolean {
  const differ = new Set([background, "", ...names]).size === names.length + 2;
  return differ && names.length >= 1 && names.length <= 255;
}

async function importInto(folder: string, options: ImportOptions): Promise<ImportedDataset> {
  const { task, signal, onProgress } = options;
  const { videos, files } = await openSource(options.source, signal);
  const windows = videos.flatMap((video) => cutWindows(video, task));
  if (windows.length === 0) {
    const needed = task === "s4" ? "a mask and four seconds after it" : "five consecutive seconds with masks";
    throw new DatasetError(`${options.source}: no video has ${needed}`, {
      hint: "Name masks by their second: clip.mp4 with clip/0.png, clip/1.png, ...",
    });
  }
  const split = assignSplits(windows, options);
  const entries = windows.map((window): Entry => {
    const { video, start } = window;
    const id = `${video.name}_${start}_${start + steps}`;
    const category = task === "avss" ? "v1m" : video.category;
    return { window, files: filesOf(task, { id, category, split: split.get(window) ?? "train" }) };
  });
  await checkMasks(entries, options);
  const rows: ClipRow[] = [];
  const clips = { train: 0, val: 0, test: 0 };
  for (const video of videos) {
    const own = entries.filter(({ window }) => window.video === video);
    await writeVideo(folder, own, options);
    for (const { files } of own) {
      clips[files.split]++;
      const { id, category, split } = files;
      rows.push({ id, category, split, sounding: video.category });
      onProgress?.({ done: rows.length, total: windows.length });
    }
  }
  await writeTables(folder, task, rows, [background, ...(options.classes ?? [])]);
  return { folder, clips, unused: unusedFiles(options.source, { files, videos }, windows) };
}

/** Why files of the source are in no clip. */
function unusedFiles(source: string, { files, videos }: Source, windows: readonly Window[]): UnusedFiles[] {
  const used = new Set(windows.flatMap(({ video, start }) => masksIn(video, start)));
  const masks = new Set(videos.flatMap((video) => [...video.masks.values()]));
  const labelled = new Set(videos.map(({ info }) => info.path));
  const folders = new Set(files.filter((file) => videoPattern.test(file)).map(maskFolder));
  const reasonOf = (file: string): string | undefined => {
    if (videoPattern.test(file)) return labelled.has(file) ? undefined : "as they have no masks";
    if (!picturePattern.test(file) || used.has(file)) return undefined;
    if (masks.has(file)) return "as no clip of five seconds takes them";
    return folders.has(path.dirname(file))
      ? "as a mask is a PNG file whose name ends in its second"
      : "as no video beside their folder has its name";
  };
  const byReason = new Map<string, string[]>();
  for (const file of files) {
    const reason = reasonOf(file);
    if (reason === undefined) continue;
    const left = byReason.get(reason) ?? [];
    left.push(path.relative(source, file));
    byReason.set(reason, left);
  }
  return [...byReason].map(([reason, left]) => ({ reason, files: left }));
}

/** The folder that holds the masks of a video. */
function maskFolder(video: string): string {
  return video.replace(videoPattern, "");
}

async function requireEmpty(folder: string): Promise<void> {
  await ensureWritableDir(folder);
  if ((await readdir(folder)).length === 0) return;
  throw new OutputError(
    `${folder}: expected an empty folder, so that nothing of another dataset is mixed in`,
    {
      hint: "Choose another root, or remove the folder.",
    },
  );
}

/** All files, and the videos with masks beside them, in the order of their paths. */
async function openSource(source: string, signal: AbortSignal | undefined): Promise<Source> {
  const status = await stat(source).catch(() => undefined);
  if (!status?.isDirectory()) {
    throw new DatasetError(`${source}: expected a folder of videos and masks`, { hint: "Check the path." });
  }
  const entries = await readdir(source, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  const videos: LabelledVideo[] = [];
  const names = new Set<string>();
  const found = files.filter((file) => videoPattern.test(file));
  for (const file of found) {
    signal?.throwIfAborted();
    const masks = await findMasks(maskFolder(file));
    if (masks.size === 0) continue;
    const inside = path.relative(source, path.dirname(file)).split(path.sep).filter(Boolean);
    const info = await ffmpegBackend.info(file, signal === undefined ? {} : { signal });
    if (!info.audioTrack) {
      throw new DatasetError(`${file}: it has no sound, and what sounds is what is to be learnt`, {
        hint: "Remove the video, or add its sound.",
      });
    }
    videos.push({ info, name: uniqueName(file, names), category: plain(inside[0] ?? "object"), masks });
  }
  if (videos.length > 0) return { files, videos };
  throw new DatasetError(`${source}: ${found.length} videos, none with a folder of masks of its name`, {
    hint: "Put the masks of clip.mp4 into the folder clip: clip/0.png, clip/1.png, ...",
  });
}

/** Mask files by second. Throws `DatasetError` when two claim the same one. */
async function findMasks(folder: string): Promise<Map<number, string>> {
  const masks = new Map<number, string>();
  const names = await readdir(folder).catch(() => []);
  for (const name of names.sort()) {
    const second = /(\d+)\.png$/i.exec(name)?.[1];
    if (second === undefined) continue;
    const other = masks.get(Number(second));
    if (other !== undefined) {
      throw new DatasetError(
        `${folder}: ${path.basename(other)} and ${name} are both of second ${Number(second)}`,
        {
          hint: "Keep one of them.",
        },
      );
    }
    masks.set(Number(second), path.join(folder, name));
  }
  return masks;
}

/** A name that is safe in paths and tables. */
function plain(text: string): string {
  return text.replace(/[^\p{L}\p{N}_-]+/gu, "-").replace(/^-+/, "") || "clip";
}

function uniqueName(file: string, taken: Set<string>): string {
  const base = plain(path.parse(file).name);
  let name = base;
  for (let i = 2; taken.has(name); i++) name = `${base}-${i}`;
  taken.add(name);
  return name;
}

/** The masks of the five seconds from `start` on, as far as there are any. */
function masksIn(video: LabelledVideo, start: number): string[] {
  return Array.from({ length: steps }, (_, t) => video.masks.get(start + t) ?? []).flat();
}

/** Windows of five seconds that do not overlap, as early as masks allow. */
function cutWindows(video: LabelledVideo, task: Task): Window[] {
  const windows: Window[] = [];
  const duration = video.info.durationSeconds ?? Infinity;
  let from = 0;
  for (const start of [...video.masks.keys()].sort((a, b) => a - b)) {
    const whole = masksIn(video, start).length === steps;
    // A quarter of a second is what the last step needs.
    if (start < from || start + steps - 0.75 > duration || (task !== "s4" && !whole)) continue;
    windows.push({ video, start, whole });
    from = start + steps;
  }
  return windows;
}

/** Divides the windows; those with gaps in their masks can only train. */
function assignSplits(windows: readonly Window[], options: ImportOptions): Map<Window, Split> {
  const usable = windows.filter((window) => window.whole);
  const videos = [...new Set(usable.map((window) => window.video))];
  const random = new Random(options.seed ?? 123, hashText("import splits"));
  const groups =
    videos.length >= 3
      ? random.permutation(videos.length).map((i) => usable.filter(({ video }) => video === videos[i]))
      : [...usable].reverse().map((window) => [window]);
  const split = new Map<Window, Split>();
  const wanted = { test: options.testShare ?? 0.15, val: options.valShare ?? 0.15 };
  let next = 0;
  for (const part of ["val", "test"] as const) {
    let missing = Math.ceil(wanted[part] * usable.length);
    // At least one group stays for training.
    while (missing > 0 && next < groups.length - 1) {
      for (const window of groups[next++] ?? []) {
        split.set(window, part);
        missing--;
      }
    }
  }
  return split;
}

/** Reads all masks that clips take, to name all that are bad at once. Throws `DatasetError`. */
async function checkMasks(entries: readonly Entry[], options: ImportOptions): Promise<void> {
  const wanted = entries.flatMap(({ window: { video, start }, files }) =>
    files.masks.flatMap((target, t) => {
      const mask = video.masks.get(start + t);
      return target === undefined || mask === undefined ? [] : [{ mask, info: video.info }];
    }),
  );
  const failures = await mapConcurrent(wanted, masksAtOnce, async ({ mask, info }) => {
    options.signal?.throwIfAborted();
    try {
      await readMask(mask, info, options);
      return [];
    } catch (error) {
      if (error instanceof AvsegError) return [error];
      throw error;
    }
  });
  const bad = failures.flat();
  const [first] = bad;
  if (first === undefined) return;
  if (bad.length === 1) throw first;
  const messages = bad.map(({ message }) => message);
  throw new DatasetError(
    `${bad.length} of ${wanted.length} masks cannot be used: ${listSome(messages, 10, "; ")}`,
    {
      hint: first.hint,
    },
  );
}

/** Writes the frames, masks and sounds of one video's windows in one pass over it. */
async function writeVideo(folder: string, entries: readonly Entry[], options: ImportOptions): Promise<void> {
  const first = entries[0];
  if (first === undefined) return;
  const { signal, imageSize: side = 224 } = options;
  const cancel = { signal };
  const { info, masks } = first.window.video;
  const end = Math.max(...entries.map(({ window }) => window.start + steps));
  let seen = 0;
  for await (const { index, rgb } of ffmpegBackend.framesAt(info, { width: side, height: side, ...cancel })) {
    seen = index + 1;
    if (index >= end) break;
    for (const { window, files } of entries) {
      const t = index - window.start;
      if (t < 0 || t >= steps) continue;
      const frameFile = files.frames[t] as string;
      const frame = await encodeFrame(frameFile, { dtype: "u8", shape: [side, side, 3], data: rgb });
      await writeFileAtomic(path.join(folder, frameFile), frame, cancel);
      const [maskFile, source] = [files.masks[t], masks.get(index)];
      if (maskFile === undefined || source === undefined) continue;
      const labels = resizeNearest(await readMask(source, info, options), side, side);
      const png = await encodePng(labelPicture(labels, options.task === "avss"));
      await writeFileAtomic(path.join(folder, maskFile), png, cancel);
    }
  }
  if (seen < end) {
    throw new DatasetError(`${info.path}: masks reach second ${end}, the video has only ${seen} s`, {
      hint: "Remove the masks beyond the video's end, or cut the video anew.",
    });
  }
  const sounds = entries.map(() => new Float32Array(steps * VGGISH_RATE_HZ));
  let at = 0;
  for await (const piece of ffmpegBackend.monoAudio(info, { sampleRateHz: VGGISH_RATE_HZ, ...cancel })) {
    for (const [i, { window }] of entries.entries())
      copyPart(sounds[i] as Float32Array, piece, at - window.start * VGGISH_RATE_HZ);
    at += piece.length;
    if (at >= end * VGGISH_RATE_HZ) break;
  }
  for (const [i, { files }] of entries.entries()) {
    const wav = encodeWav({
      sampleRateHz: VGGISH_RATE_HZ,
      channels: [sounds[i] as Float32Array<ArrayBuffer>],
    });
    await writeFileAtomic(path.join(folder, files.wav), wav, cancel).catch((error: unknown) => {
      throw asOutputError(error, folder);
    });
  }
}

/** Copies what of `piece`, placed at `offset` in `target`, lies within it. */
function copyPart(target: Float32Array, piece: Float32Array, offset: number): void {
  const from = Math.max(0, -offset);
  const to = Math.min(piece.length, target.length - offset);
  if (from < to) target.set(piece.subarray(from, to), offset + from);
}

async function readMask(file: string, info: VideoInfo, options: ImportOptions): Promise<Image> {
  const mask = options.task === "avss" ? await readLabels(file, options) : await readBinary(file);
  const { width, height } = sizeOfImage(mask);
  if (width === info.width && height === info.height) return mask;
  throw new DatasetError(
    `${file}: the mask is ${width}x${height}, expected ${info.width}x${info.height} as ${info.path} is displayed`,
    { hint: "Make the mask again at the video's size." },
  );
}

/**
 * A semantic mask as class indices, `u8[H,W]`: a gray image whose values are all numbers of classes holds those;
 * any other the classes' colours, which are those of PASCAL VOC, as many annotation tools write them.
 */
async function readLabels(file: string, { classes = [] }: ImportOptions): Promise<Image> {
  const image = await readRgb(file);
  const { data, shape } = image;
  const numbers = data.filter((_, i) => i % 3 === 0);
  const numbered = data.every((value, i) => value <= classes.length && value === numbers[Math.floor(i / 3)]);
  if (numbered) return { dtype: "u8", shape: shape.slice(0, 2), data: numbers };
  return classesOf(image, file, classes.length + 1);
}
