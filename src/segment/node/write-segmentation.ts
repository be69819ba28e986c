/** Any video in; masks, `segments.json` and an overlay video out. */
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { BoundedQueue } from "../../bounded-queue.js";
import { MediaError } from "../../errors.js";
import type { Predictor } from "../../inference/predictor.js";
import type { Look } from "../../media/looks.js";
import {
  type CutoutFormat,
  cutoutFormats,
  type LayeredVideo,
  prepareEncoders,
} from "../../media/node/overlay-encoder.js";
import { checkRate } from "../../media/step-times.js";
import type { VideoInfo } from "../../media/video.js";
import { removeStale, temporaryPath, writeFileAtomic } from "../../node/files.js";
import { type Lock, lockInside, withLock } from "../../node/lock.js";
import { asOutputError } from "../../node/system-error.js";
import { guideSize, layerSize } from "../grid.js";
import { intervalsCsv, intervalsVtt, type MaskTimes, soundingIntervals } from "../intervals.js";
import { labelNames } from "../mask.js";
import { type MaskFormat, type MaskSettings, notesOf, secondsOf, segmentsJson } from "../segments-json.js";
import {
  type GatedStep,
  gatedSteps,
  MaskMaker,
  type SegmentOptions,
  type SegmentVideoOptions,
  type StepStream,
} from "../step-stream.js";
import { MaskFiles, maskFolder, rleFile } from "./mask-files.js";
import { openVideoSteps, pictureRate, videoInfo } from "./open-video-steps.js";
import { fitsInMemory, OverlayWriter } from "./overlay-writer.js";

/** Options of `writeSegmentation`. */
export interface WriteSegmentationOptions extends SegmentVideoOptions {
  /** Folder for `overlay.mp4`, `masks/`, `segments.json`, `.csv` and `.vtt`; created if missing, earlier results are replaced. */
  readonly outDir: string;
  /** What the model is and what it was trained on, for `segments.json`. */
  readonly modelDescription?: string | undefined;
  /** Masks as PNG files, as COCO run lengths in `masks.json`, or none. Default: `png`. */
  readonly format?: MaskFormat | undefined;
  /** Writes a video of what sounds on a transparent ground: `cutout.webm` or `cutout.mov`. Default: none. */
  readonly cutout?: CutoutFormat | undefined;
  /** Whether to write `overlay.mp4`. Default: true. */
  readonly overlay?: boolean | undefined;
  /** Called once the video is being decoded, before the model starts. */
  readonly onStart?: ((info: VideoInfo) => void) | undefined;
  /** How the overlay shows what sounds. Default: `overlay`, a translucent color. */
  readonly look?: Look | undefined;
}

/** What `writeSegmentation` found and wrote. */
export interface SegmentationSummary {
  readonly outDir: string;
  readonly info: VideoInfo;
  /** Masks written. */
  readonly masks: number;
  /** Seconds that have masks, and those in which something sounds. */
  readonly seconds: number;
  readonly soundingSeconds: number;
  /** What the user should know: silence, several tracks, a file that ends early. */
  readonly notes: readonly string[];
}

const overlayFile = "overlay.mp4";
const documentFile = "segments.json";
const csvFile = "segments.csv";
const vttFile = "segments.vtt";
const cutoutFile = (format: CutoutFormat) => `cutout.${format}`;

/** Moves finished results from `from` into `outDir` in place of earlier ones; the JSON goes last. */
async function publish(from: string, outDir: string): Promise<void> {
  const cutouts = cutoutFormats.map(cutoutFile);
  for (const name of [maskFolder, rleFile, overlayFile, ...cutouts, csvFile, vttFile, documentFile]) {
    const target = path.join(outDir, name);
    await rm(target, { recursive: true, force: true });
    if (existsSync(path.join(from, name))) await rename(path.join(from, name), target);
  }
}

/**
 * Segments what sounds in a video of any length, size and rotation into a folder: `masks/000000.png` and on, at
 * the displayed size; `segments.json`, and what sounds when as `segments.csv` and `segments.vtt`; and `overlay.mp4` with the original sound and timestamps, in which masks follow the
 * picture. Decoding, the model, painting and encoding run at the same time; memory does not grow with the length. Nothing
 * is left behind on failure or abort, and what killed processes left in the folder is removed. Throws `MediaError` (the video), `LockedError` when another
 * process writes into the folder, `OutputError` when it cannot be written, and the signal's reason.
 *
 * `video` is a file, or what `probeVideo` says of it.
 *
 * ```ts
 * const { soundingSeconds, seconds } = await writeSegmentation("street.mp4", model, { outDir: "street" });
 * ```
 */
export async function writeSegmentation(
  video: string | VideoInfo,
  model: Predictor,
  options: WriteSegmentationOptions,
): Promise<SegmentationSummary> {
  const { outDir, signal, rate = 1 } = options;
  checkRate(rate);
  const { overlay = true, cutout, slice } = options;
  if (overlay || cutout) prepareEncoders();
  const info = await videoInfo(video, { slice, signal });
  const otherwise = "choose another folder with --out";
  return withLock(lockInside(outDir), { what: outDir, task: "avseg segment", otherwise }, (lock) =>
    writeLocked(info, model, { ...options, lock }),
  );
}

async function writeLocked(
  info: VideoInfo,
  model: Predictor,
  { lock, ...options }: WriteSegmentationOptions & { readonly lock: Lock },
): Promise<SegmentationSummary> {
  const { outDir, signal, modelDescription, overlay: wantsOverlay = true, look = "overlay" } = options;
  const { rate = 1, everyFrame = false, refine = true, silenceGate = true } = options;
  const { format = "png", cutout } = options;
  const settings = { rate, everyFrame, refine, silenceGate, format };
  await removeStale(outDir);
  const partial = temporaryPath(outDir);
  // Whatever fails first stops the rest: the decoders, the model and the encoder.
  const stop = new AbortController();
  const cancel = { signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal };
  const names = labelNames(model.classes);
  const masks = new MaskFiles(partial, { format, labelNames: names, ...cancel });
  let overlay: OverlayWriter | undefined;
  let stream: StepStream | undefined;
  try {
    await mkdir(format === "png" ? path.join(partial, maskFolder) : partial, { recursive: true });
    const videos: LayeredVideo[] = [];
    if (wantsOverlay) videos.push({ output: path.join(partial, overlayFile), look });
    if (cutout) videos.push({ output: path.join(partial, cutoutFile(cutout)), look: "cutout" });
    const pictures = everyFrame
      ? guideSize(info, model)
      : videos.length > 0
        ? layerSize(info, model)
        : undefined;
    if (videos.length > 0 && pictures) {
      const copies = fitsInMemory(info, model.frameCount);
      const layer = { ...pictures, labelNames: names };
      overlay = await OverlayWriter.start(info, { videos, layer, copies, ...cancel });
    }
    const { imageSize } = model;
    const copiesTo = overlay?.frames;
    stream = openVideoSteps(info, { imageSize, rate, refine, pictures, copiesTo, ...cancel });
    options.onStart?.(info);
    const work = { stream, model, masks, overlay, stop, options: { ...options, ...cancel } };
    await (everyFrame ? writeEveryFrame(work) : writeSteps(work));
    await masks.finish();
    const { records } = masks;
    if (records.length === 0) {
      throw new MediaError(`${info.path}: not one frame could be decoded`, {
        hint: "Check that it plays in a video player; if not, download or convert it again.",
      });
    }
    await overlay?.finish();
    const notes = notesOf(info, records, settings);
    const files = {
      overlay: wantsOverlay ? overlayFile : undefined,
      cutout: cutout && cutoutFile(cutout),
      masksFile: format === "rle" ? rleFile : undefined,
    };
    const json = segmentsJson({ info, model, modelDescription, settings, ...files, records, notes });
    await writeFileAtomic(path.join(partial, documentFile), json, cancel);
    const intervals = soundingIntervals(records, maskTimes(info, settings));
    await writeFileAtomic(path.join(partial, csvFile), intervalsCsv(intervals), cancel);
    await writeFileAtomic(path.join(partial, vttFile), intervalsVtt(intervals), cancel);
    await lock.assertHeld();
    await publish(partial, outDir);
    const soundingSeconds = secondsOf(records.filter((r) => r.area > 0));
    return { outDir, info, masks: records.length, seconds: secondsOf(records), soundingSeconds, notes };
  } catch (error) {
    throw asOutputError(await causeOf(error, overlay), outDir);
  } finally {
    stop.abort();
    await Promise.allSettled([overlay?.stop(), stream?.close(), masks.settle()]);
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Which time each mask stands for. */
function maskTimes(
  info: VideoInfo,
  { rate, everyFrame }: Pick<MaskSettings, "rate" | "everyFrame">,
): MaskTimes {
  const { numerator, denominator } = pictureRate(info);
  const startSeconds = info.slice?.startSeconds ?? 0;
  return {
    perSecond: everyFrame ? numerator / denominator : rate,
    startSeconds,
    endSeconds: startSeconds + (info.durationSeconds ?? Number.POSITIVE_INFINITY),
  };
}

/** Why a segmentation failed: where its encoder did, the reader that writes to it fails as well. */
async function causeOf(error: unknown, overlay: OverlayWriter | undefined): Promise<unknown> {
  if (!overlay || !(error instanceof MediaError && /Broken pipe/i.test(error.message))) return error;
  return overlay.finish().then(
    () => error,
    (cause: unknown) => cause,
  );
}

/** What the loops over frames work with. */
interface Work {
  readonly stream: StepStream;
  readonly model: Predictor;
  readonly masks: MaskFiles;
  readonly overlay: OverlayWriter | undefined;
  /** Stops everything. */
  readonly stop: AbortController;
  readonly options: SegmentOptions;
}

/** Writes the masks of the model's steps, while the overlay follows with those of all pictures. */
async function writeSteps({ stream, model, masks, overlay, stop, options }: Work): Promise<void> {
  const maker = new MaskMaker(stream, model, options);
  const tracked = new BoundedQueue<GatedStep>(model.frameCount * (options.rate ?? 1));
  const drawing = overlay ? drawOverlay(tracked, overlay, { stream, model, options }) : Promise.resolve();
  drawing.catch((error: unknown) => stop.abort(error));
  for await (const step of gatedSteps(stream, model, options)) {
    await masks.write(maker.stepFrame(step));
    if (overlay) await tracked.push(step);
    options.onProgress?.({ done: step.startSeconds + step.coveredSeconds, total: stream.totalSeconds });
  }
  tracked.end();
  await drawing;
}

/** Gives the overlay the masks of all pictures. */
async function drawOverlay(
  steps: AsyncIterable<GatedStep>,
  overlay: OverlayWriter,
  { stream, model, options }: Pick<Work, "stream" | "model" | "options">,
): Promise<void> {
  const maker = new MaskMaker(stream, model, options);
  const { pictures } = stream;
  if (!pictures) return;
  for await (const { probabilities, image, grid } of maker.track(steps, pictures)) {
    if (!(await overlay.add(probabilities, maker.marks(probabilities, image, grid)))) return;
  }
}

/** Writes the masks of all pictures, and the overlay with them. */
async function writeEveryFrame({ stream, model, masks, overlay, options }: Work): Promise<void> {
  const maker = new MaskMaker(stream, model, options);
  const { pictures } = stream;
  if (!pictures) return;
  const steps = gatedSteps(stream, model, options);
  let drawing = overlay !== undefined;
  for await (const picture of maker.track(steps, pictures)) {
    const marks = maker.marks(picture.probabilities, picture.image, picture.grid);
    await masks.write(maker.pictureFrame(picture, marks));
    if (drawing && overlay) drawing = await overlay.add(picture.probabilities, marks);
    options.onProgress?.({ done: picture.timeSeconds, total: stream.totalSeconds });
  }
}
