/** Writes SoundShapes to disk in AVSBench's layout, so that it is read by the same code as AVSBench. */

import path from "node:path";
import { defaultImageSize } from "../../models/base-config.js";
import { writeFileAtomic } from "../../node/files.js";
import { lockBeside, withLock } from "../../node/lock.js";
import { asOutputError } from "../../node/system-error.js";
import type { CountedProgress } from "../../progress.js";
import { filesOf, layouts } from "../avsbench/layout.js";
import { type ClipRow, writeTables } from "../avsbench/write-tables.js";
import type { Split, Task } from "../clip.js";
import { mapConcurrent } from "../concurrent.js";
import { writeClipFiles } from "../generated/clip-files.js";
import { clearGenerated, formatManifest, readTextIfAny } from "../generated/folder.js";
import { subsetOf } from "../generated/schedule.js";
import { classNames, type Kind, kinds } from "./kinds.js";
import type { ClipSpec } from "./plan.js";
import { renderClip } from "./render-clip.js";
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
const generatorName = "SoundShapes";
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
  if ((await readTextIfAny(plan.manifest)) === manifestText(plan, true)) {
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
    generator: generatorName,
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
  const replaced = await clearGenerated(folder, { manifestName, generator: generatorName });
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
  return formatManifest({ complete, ...settings });
}

/** Renders and writes one clip. */
async function writeClip(folder: string, spec: ClipSpec): Promise<ClipRow> {
  const clip = renderClip(spec);
  const id = clipName(spec);
  const source = clip.kinds[clip.sounding[0]?.indexOf(true) ?? 0] ?? "";
  const category = { s4: source, ms3: "", avss: subsetOf(spec.index) }[spec.task];
  const files = filesOf(spec.task, { id, category, split: spec.split });
  try {
    await writeClipFiles(folder, files, { ...clip, semantic: spec.task === "avss", sampleRateHz });
  } catch (error) {
    throw asOutputError(error, path.join(folder, path.dirname(files.wav)));
  }
  const sounding = clip.kinds.filter((_, i) => clip.sounding.some((step) => step[i])).join("_");
  return { id, category, split: spec.split, sounding };
}
