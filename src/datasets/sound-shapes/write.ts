/** Writes SoundShapes to disk in AVSBench's layout, so that it is read by the same code as AVSBench. */

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { OutputError } from "../../errors.js";
import { encodeFrame, encodePng } from "../../media/node/image-file.js";
import { labelPicture } from "../../media/painting.js";
import { encodeWav } from "../../media/wav.js";
import { defaultImageSize } from "../../models/base-config.js";
import { writeFileAtomic } from "../../node/files.js";
import { lockBeside, withLock } from "../../node/lock.js";
import { asOutputError } from "../../node/system-error.js";
import type { CountedProgress } from "../../progress.js";
import { type ClipFiles, filesOf, layouts } from "../avsbench/layout.js";
import { type ClipRow, writeTables } from "../avsbench/write-tables.js";
import type { Split, Task } from "../clip.js";
import { mapConcurrent } from "../concurrent.js";
import { classNames, type Kind, kinds } from "./kinds.js";
import { type ClipSpec, subsetOf } from "./plan.js";
import { type RenderedClip, renderClip } from "./render-clip.js";
import { writeClipVideo } from "./video.js";
import { sampleRateHz } from "./voices.js";

/** Options of `writeSoundShapes`. */
export interface WriteOptions {
  readonly task: Task;
  /** The root to write under; the task gets its own folder there, named as in AVSBench. */
  readonly root: string;
  /** Clips per split. */
  readonly counts: Readonly<Record<Split, number>>;
  /** Height and width of the frames. Default: 224. */
  readonly imageSize?: number | undefined;
  /** Default: 123. */
  readonly seed?: number | undefined;
  /** Number of test clips that are also written as `videos/<name>.mp4` (H.264 and AAC). Default: 0. */
  readonly clipsAsVideo?: number | undefined;
  /** Kinds to choose from. Default: the eight of the benchmark. */
  readonly kinds?: readonly Kind[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CountedProgress) => void) | undefined;
}

/** What `writeSoundShapes` wrote. */
export interface WrittenDataset {
  /** The task's folder. */
  readonly folder: string;
  readonly clips: number;
  /** Paths of the videos. */
  readonly videos: readonly string[];
  /** False when the folder held the same data already. */
  readonly written: boolean;
  /** True when the folder held a complete dataset made with other options, which was replaced. */
  readonly replaced: boolean;
}

/** Incremented whenever the same options give different pixels, sounds or files. */
const generatorVersion = 1;
const manifestName = "sound-shapes.json";
const splitNames: readonly Split[] = ["train", "val", "test"];
/** Clips rendered while others are being compressed and written by other threads. */
const clipsAtOnce = 4;

/**
 * Generates a SoundShapes dataset. A complete one with the same options is kept; an incomplete or different one is
 * replaced. The table is written last, so that an interrupted run leaves nothing that can be opened. Throws `OutputError`
 * when the folder holds other data or cannot be written, `LockedError` when another process writes it, `RangeError` for
 * bad options, and the signal's reason when aborted.
 *
 * @example
 * await writeSoundShapes({ task: "s4", root: "shapes", counts: { train: 200, val: 40, test: 40 }, imageSize: 96 });
 */
export async function writeSoundShapes(options: WriteOptions): Promise<WrittenDataset> {
  checkOptions(options);
  const plan = planOf(options);
  const { folder } = plan;
  const dataset = { folder, clips: plan.specs.length, videos: plan.videos.map(({ file }) => file) };
  if ((await readText(plan.manifest)) === manifestText(plan, true)) {
    return { ...dataset, written: false, replaced: false };
  }
  const lock = { what: folder, task: "SoundShapes", otherwise: "choose another root" };
  const replaced = await withLock(lockBeside(folder), lock, () => writePlan(plan, options));
  return { ...dataset, written: true, replaced };
}

/** Everything that the options determine. */
interface Plan {
  readonly folder: string;
  /** The file that says what the folder holds. */
  readonly manifest: string;
  readonly settings: { readonly kinds: readonly Kind[] };
  readonly specs: readonly ClipSpec[];
  readonly videos: readonly { readonly spec: ClipSpec; readonly file: string }[];
}

function planOf({ task, root, counts, ...options }: WriteOptions): Plan {
  const folder = path.join(root, layouts[task].folder);
  const { imageSize = defaultImageSize, seed = 123, clipsAsVideo = 0 } = options;
  const settings = {
    generator: "SoundShapes",
    version: generatorVersion,
    task,
    seed,
    imageSize,
    counts: { train: counts.train, val: counts.val, test: counts.test },
    clipsAsVideo,
    kinds: options.kinds ?? kinds,
  };
  const specs = splitNames.flatMap((split) =>
    Array.from({ length: counts[split] }, (_, index): ClipSpec => {
      return { task, split, index, seed, imageSize, kinds: settings.kinds };
    }),
  );
  const videos = specs
    .filter((spec) => spec.split === "test" && spec.index < clipsAsVideo)
    .map((spec) => ({ spec, file: path.join(folder, "videos", `${clipName(spec)}.mp4`) }));
  return { folder, manifest: path.join(folder, manifestName), settings, specs, videos };
}

/** Writes a dataset in place of an earlier one; returns whether there was a complete one. */
async function writePlan(plan: Plan, { task, signal, onProgress }: WriteOptions): Promise<boolean> {
  const { folder, manifest, settings, specs, videos } = plan;
  const replaced = await clear(folder, manifest);
  await writeFileAtomic(manifest, manifestText(plan, false));
  const total = specs.length + videos.length;
  let done = 0;
  const advance = (): void => onProgress?.({ done: ++done, total });
  const rows = await mapConcurrent(specs, clipsAtOnce, async (spec) => {
    signal?.throwIfAborted();
    const row = await writeClip(folder, spec);
    advance();
    return row;
  });
  for (const { spec, file } of videos) {
    signal?.throwIfAborted();
    await writeClipVideo(spec, file, { signal });
    advance();
  }
  await writeTables(folder, task, { clips: rows, classes: classNames(settings.kinds) });
  await writeFileAtomic(manifest, manifestText(plan, true));
  return replaced;
}

/** The name of a clip in the table: its split and its index, which makes names unique. */
function clipName(spec: ClipSpec): string {
  return `shapes_${spec.split}_${String(spec.index).padStart(5, "0")}`;
}

function checkOptions({ task, counts, imageSize = defaultImageSize, clipsAsVideo = 0 }: WriteOptions): void {
  if (!Number.isInteger(imageSize) || imageSize < 32 || imageSize > 1024) {
    throw new RangeError(`sound shapes: expected an image size of 32 to 1024 pixels, got ${imageSize}`);
  }
  for (const split of splitNames) {
    if (!Number.isInteger(counts[split]) || counts[split] < 0 || counts[split] > 99_999) {
      throw new RangeError(`sound shapes: expected 0 to 99999 ${split} clips, got ${counts[split]}`);
    }
  }
  if (clipsAsVideo > counts.test) {
    throw new RangeError(
      `sound shapes: expected at most ${counts.test} ${task} videos, as there are so many test clips, got ${clipsAsVideo}`,
    );
  }
}

function manifestText({ settings }: Plan, complete: boolean): string {
  return `${JSON.stringify({ complete, ...settings }, null, 2)}\n`;
}

async function readText(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch(() => undefined);
}

/** Removes an earlier SoundShapes dataset and returns whether it was complete; refuses a folder with other data. */
async function clear(folder: string, manifest: string): Promise<boolean> {
  const held = await readdir(folder).catch(() => []);
  if (held.length === 0) return false;
  const own = z.object({ generator: z.literal("SoundShapes"), complete: z.boolean() });
  let text: unknown;
  try {
    text = JSON.parse((await readText(manifest)) ?? "");
  } catch {
    text = undefined;
  }
  const found = own.safeParse(text);
  if (!found.success) {
    throw new OutputError(`${folder}: expected an empty folder or SoundShapes, found other data`, {
      hint: "Choose another root, or remove the folder.",
    });
  }
  // The manifest is replaced last: until then it marks the folder as ours.
  try {
    for (const name of held) {
      if (name !== manifestName) await rm(path.join(folder, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw asOutputError(error, folder);
  }
  return found.data.complete;
}

/** Renders and writes one clip. */
async function writeClip(folder: string, spec: ClipSpec): Promise<ClipRow> {
  const clip = renderClip(spec);
  const id = clipName(spec);
  const source = clip.kinds[clip.sounding[0]?.indexOf(true) ?? 0] ?? "";
  const category = { s4: source, ms3: "", avss: subsetOf(spec.index) }[spec.task];
  const files = filesOf(spec.task, { id, category, split: spec.split });
  try {
    await writeFiles(folder, files, { spec, clip });
  } catch (error) {
    throw asOutputError(error, path.join(folder, path.dirname(files.wav)));
  }
  const sounding = clip.kinds.filter((_, i) => clip.sounding.some((step) => step[i])).join("_");
  return { id, category, split: spec.split, sounding };
}

async function writeFiles(
  folder: string,
  files: ClipFiles,
  { spec, clip }: { readonly spec: ClipSpec; readonly clip: RenderedClip },
): Promise<void> {
  const size = spec.imageSize;
  const pixels = size * size;
  const save = async (file: string, bytes: Uint8Array): Promise<void> => {
    const target = path.join(folder, file);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, bytes);
  };
  const jobs = files.frames.map(async (frame, t) => {
    const rgb = clip.frames.data.slice(3 * t * pixels, 3 * (t + 1) * pixels);
    await save(frame, await encodeFrame(frame, { dtype: "u8", shape: [size, size, 3], data: rgb }));
    const maskFile = files.masks[t];
    if (maskFile === undefined) return;
    const mask = { shape: [size, size], data: clip.masks.data.slice(t * pixels, (t + 1) * pixels) };
    await save(maskFile, await encodePng(labelPicture(mask, spec.task === "avss"), { compressionLevel: 1 }));
  });
  await Promise.all([...jobs, save(files.wav, encodeWav({ sampleRateHz, channels: [clip.samples] }))]);
}
