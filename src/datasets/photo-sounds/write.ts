/** Writes PhotoSounds to disk in AVSBench's layout, with a list of everything that it is made of. */
import { existsSync } from "node:fs";
import { appendFile, mkdir } from "node:fs/promises";
import path from "node:path";
import { encodePng } from "../../media/node/image-file.js";
import { defaultImageSize } from "../../models/base-config.js";
import { writeFileAtomic } from "../../node/files.js";
import { lockBeside, withLock } from "../../node/lock.js";
import { asOutputError } from "../../node/system-error.js";
import type { CountedProgress } from "../../progress.js";
import { filesOf, layouts } from "../avsbench/layout.js";
import { writeTables } from "../avsbench/write-tables.js";
import type { Split, Task } from "../clip.js";
import { mapConcurrent } from "../concurrent.js";
import { saveBelow, writeClipFiles } from "../generated/clip-files.js";
import { clearGenerated, formatManifest, readTextIfAny } from "../generated/folder.js";
import { subsetOf, videoFramesPerSecond } from "../generated/schedule.js";
import { writeVideo } from "../generated/video.js";
import type { Side } from "./catalog.js";
import type { PhotoClipSpec } from "./plan.js";
import { type ClipRecord, readClipLog, recordOf, soundingNames, sourcesOf } from "./records.js";
import type { PhotoStudio, RenderedPhotoClip } from "./render-clip.js";
import { sampleRateHz } from "./sound.js";

/**
 * The parts of PhotoSounds: the splits of AVSBench, test clips of classes that training never meets, and test clips of
 * photographs as they are.
 */
export type PhotoPart = Split | "unseen" | "photographs";

const photoParts = ["train", "val", "test", "unseen", "photographs"] as const satisfies readonly PhotoPart[];

const sides: Readonly<Record<PhotoPart, Side>> = {
  train: "train",
  val: "train",
  test: "test",
  unseen: "unseen",
  photographs: "test",
};

/** Clips per part. */
export type PhotoCounts = Readonly<Record<PhotoPart, number>>;

/** The sides whose sources the clips of `counts` are made of. */
export function sidesOf(counts: PhotoCounts): Side[] {
  const parts = photoParts.filter((part) => counts[part] > 0);
  return [...new Set(parts.map((part) => sides[part]))];
}

/** Options of `writePhotoSounds`. */
export interface WritePhotoOptions {
  readonly task: Task;
  /** The root to write under; the task gets its own folder there, named as in AVSBench, and others in `unseen/` and `photographs/`. */
  readonly root: string;
  readonly studio: PhotoStudio;
  /** Clips per part. */
  readonly counts: PhotoCounts;
  /** Height and width of the frames. Default: 224. */
  readonly imageSize?: number | undefined;
  /** Default: 123. */
  readonly seed?: number | undefined;
  /** Number of test clips that are also written as `videos/<name>.mp4` (H.264 and AAC). Default: 0. */
  readonly clipsAsVideo?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CountedProgress) => void) | undefined;
}

/** What `writePhotoSounds` wrote into a folder. */
export interface WrittenPhotos {
  /** The task's folder. */
  readonly folder: string;
  readonly clips: number;
  /** Paths of the videos. */
  readonly videos: readonly string[];
  /** Clips that existed already, of this run's options. */
  readonly kept: number;
}

/** Incremented whenever the same options give different pixels, sounds or files. */
const generatorVersion = 2;
const generator = "PhotoSounds";
const manifestName = "photo-sounds.json";
/** A line of JSON for each finished clip: what it shows, what sounds, and the sources of both. */
const clipLog = "clips.jsonl";
const sourceTable = "sources.csv";
/** Clips rendered while others are being compressed and written by other threads. */
const clipsAtOnce = 3;

/**
 * Generates PhotoSounds: `train`, `val` and `test` clips, and, in datasets of their own below `unseen/` and `photographs/`,
 * test clips of unseen classes and of photographs as they are. Finished clips of a run with the same options are kept, so that an interrupted run continues; clips
 * of other options are replaced. Throws `OutputError` when a folder holds other data or cannot be written, `LockedError`
 * when another process writes it, `DatasetError` or `MediaError` for a source that cannot be read, and the signal's
 * reason when aborted.
 */
export async function writePhotoSounds(options: WritePhotoOptions): Promise<WrittenPhotos[]> {
  const { counts, root, clipsAsVideo = 0 } = options;
  const folders = [
    { root, parts: ["train", "val", "test"] as const, clipsAsVideo },
    ...(["unseen", "photographs"] as const).map((part) => ({
      ...{ root: path.join(root, part), parts: [part], clipsAsVideo: 0 },
    })),
  ].filter(({ parts }) => parts.some((part) => counts[part] > 0));
  const total = Object.values(counts).reduce((a, b) => a + b, 0) + clipsAsVideo;
  let done = 0;
  const written: WrittenPhotos[] = [];
  for (const part of folders) {
    const folder = path.join(part.root, layouts[options.task].folder);
    const lock = { what: folder, task: generator, otherwise: "choose another root" };
    const job = { ...options, ...part, folder, advance: () => options.onProgress?.({ done: ++done, total }) };
    written.push(await withLock(lockBeside(folder), lock, () => writeFolder(job)));
  }
  return written;
}

interface FolderJob extends WritePhotoOptions {
  readonly folder: string;
  readonly parts: readonly PhotoPart[];
  readonly advance: () => void;
}

async function writeFolder(job: FolderJob): Promise<WrittenPhotos> {
  const { task, folder, studio, counts, imageSize = defaultImageSize, seed = 123, signal } = job;
  const specs = job.parts.flatMap((part) =>
    Array.from({ length: counts[part] }, (_, index): PhotoClipSpec => {
      const photograph = part === "photographs";
      const split = photograph || part === "unseen" ? "test" : part;
      return { task, split, side: sides[part], index, seed, imageSize, photograph };
    }),
  );
  const settings = {
    generator,
    version: generatorVersion,
    task,
    seed,
    imageSize,
    counts: Object.fromEntries(job.parts.map((part) => [part, counts[part]])),
    clipsAsVideo: job.clipsAsVideo ?? 0,
  };
  const manifest = path.join(folder, manifestName);
  const before = await readTextIfAny(manifest);
  const same = [true, false].some((complete) => before === formatManifest({ complete, ...settings }));
  if (!same) {
    await clearGenerated(folder, { manifestName, generator });
    await writeFileAtomic(manifest, formatManifest({ complete: false, ...settings }));
  }
  const finished = await readClipLog(path.join(folder, clipLog));
  const records = await mapConcurrent(specs, clipsAtOnce, async (spec) => {
    const id = clipName(spec);
    const kept = finished.get(id);
    if (kept === undefined) signal?.throwIfAborted();
    const record = kept ?? (await writeClip(folder, spec, studio));
    job.advance();
    return record;
  });
  const videos = await writeVideos(job, specs);
  const rows = records.map((record) => ({ ...record, sounding: soundingNames(record).join("_") }));
  await writeFileAtomic(path.join(folder, sourceTable), sourcesOf(studio.catalog, records));
  await writeTables(folder, task, { clips: rows, classes: studio.classes });
  await writeFileAtomic(manifest, formatManifest({ complete: true, ...settings }));
  return { folder, clips: specs.length, videos, kept: specs.filter((s) => finished.has(clipName(s))).length };
}

async function writeVideos(job: FolderJob, specs: readonly PhotoClipSpec[]): Promise<string[]> {
  const { folder, studio, signal, clipsAsVideo = 0 } = job;
  const chosen = specs.filter((spec) => spec.split === "test" && spec.index < clipsAsVideo);
  const videos: string[] = [];
  for (const spec of chosen) {
    const target = path.join(folder, "videos", `${clipName(spec)}.mp4`);
    videos.push(target);
    if (!existsSync(target)) {
      const { samples } = await studio.render(spec);
      await writeVideo(target, {
        imageSize: spec.imageSize,
        framesPerSecond: videoFramesPerSecond,
        sound: { sampleRateHz, channels: [samples] },
        frames: studio.renderVideo(spec),
        signal,
      });
    }
    job.advance();
  }
  return videos;
}

/** The name of a clip in the table: its part and its index. */
function clipName(spec: PhotoClipSpec): string {
  const part = spec.photograph ? "photographs" : spec.side === "unseen" ? "unseen" : spec.split;
  return `photos_${part}_${String(spec.index).padStart(5, "0")}`;
}

/** Renders and writes one clip; its line in the log is written last. */
async function writeClip(folder: string, spec: PhotoClipSpec, studio: PhotoStudio): Promise<ClipRecord> {
  const clip = await studio.render(spec);
  const { plan } = clip;
  const source = plan.objects[0]?.picture.class ?? "";
  const id = clipName(spec);
  const category = { s4: source, ms3: "", avss: subsetOf(spec.index) }[spec.task];
  const record = recordOf(plan, { id, split: spec.split, category });
  const files = filesOf(spec.task, { id, category, split: spec.split });
  try {
    await Promise.all([
      writeClipFiles(folder, files, { ...clip, semantic: spec.task === "avss", sampleRateHz }),
      writeObjects(folder, id, clip),
    ]);
    await mkdir(folder, { recursive: true });
    await appendFile(path.join(folder, clipLog), `${JSON.stringify(record)}\n`);
  } catch (error) {
    throw asOutputError(error, path.join(folder, path.dirname(files.wav)));
  }
  return record;
}

/**
 * The visible objects of every step, sounding or not, as gray pictures `objects/<clip>/<step>.png`: 0 for the background,
 * `i + 1` for object `i` of the clip's record.
 */
async function writeObjects(folder: string, id: string, { objects }: RenderedPhotoClip): Promise<void> {
  const [steps = 0, height = 0, width = 0] = objects.shape;
  const pixels = height * width;
  await Promise.all(
    Array.from({ length: steps }, async (_, t) => {
      const data = objects.data.slice(t * pixels, (t + 1) * pixels);
      const png = await encodePng({ dtype: "u8", shape: [height, width], data }, { compressionLevel: 1 });
      await saveBelow(folder, `objects/${id}/${t + 1}.png`, png);
    }),
  );
}
