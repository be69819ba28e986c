/** Any video in; masks, `segments.json` and an overlay video out. */
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { MediaError } from "../../errors.js";
import type { Predictor } from "../../inference/predictor.js";
import { probeVideo } from "../../media/node/probe-video.js";
import type { VideoInfo } from "../../media/video.js";
import { removeStale, temporaryPath, writeFileAtomic } from "../../node/files.js";
import { type Lock, lockInside, withLock } from "../../node/lock.js";
import { asOutputError } from "../../node/system-error.js";
import { type SegmentedFrame, type SegmentOptions, segmentStream } from "../step-stream.js";
import { maskToPng } from "./mask-png.js";
import { openVideoSteps } from "./open-video-steps.js";
import { OverlayWriter } from "./overlay-writer.js";
import { type FrameRecord, notesOf, recordOf, segmentsJson } from "./segments-json.js";

/** Options of `writeSegmentation`. */
export interface WriteSegmentationOptions extends SegmentOptions {
  /** Folder for `overlay.mp4`, `masks/` and `segments.json`; created if missing, earlier results are replaced. */
  readonly outDir: string;
  /** What the model is and what it was trained on, for `segments.json`. */
  readonly modelDescription?: string | undefined;
  /** Whether to write `overlay.mp4`. Default: true. */
  readonly overlay?: boolean | undefined;
}

/** What `writeSegmentation` found and wrote. */
export interface SegmentationSummary {
  readonly outDir: string;
  readonly info: VideoInfo;
  /** One-second steps. */
  readonly steps: number;
  /** Steps in which something sounds. */
  readonly soundingSteps: number;
  /** What the user should know: silence, several tracks, a file that ends early. */
  readonly notes: readonly string[];
}

const overlayFile = "overlay.mp4";
const documentFile = "segments.json";
const maskFolder = "masks";

/** Writes the mask of a frame below `dir`, and returns its record. */
async function writeStep(
  frame: SegmentedFrame,
  dir: string,
  { signal }: SegmentOptions,
): Promise<FrameRecord> {
  const file = `${maskFolder}/${String(frame.index).padStart(6, "0")}.png`;
  const png = await maskToPng(frame.mask);
  await writeFileAtomic(path.join(dir, file), png, { signal });
  return recordOf(frame, file);
}

/** Moves finished results from `from` into `outDir` in place of earlier ones; the JSON goes last. */
async function publish(from: string, outDir: string): Promise<void> {
  for (const name of [maskFolder, overlayFile, documentFile]) {
    const target = path.join(outDir, name);
    await rm(target, { recursive: true, force: true });
    if (existsSync(path.join(from, name))) await rename(path.join(from, name), target);
  }
}

/**
 * Segments what sounds in a video of any length, size and rotation into a folder: `masks/000000.png` for every second,
 * at the displayed size; `segments.json`; and `overlay.mp4` with the original sound and timestamps, the masks blended
 * between the seconds. Memory does not grow with the length. Nothing is left behind on failure or abort, and what
 * killed processes left in the folder is removed. Throws `MediaError` (the video), `LockedError` when another
 * process writes into the folder, `OutputError` when it cannot be written, and the signal's reason.
 *
 * ```ts
 * const { soundingSteps, steps } = await writeSegmentation("street.mp4", model, { outDir: "street" });
 * ```
 */
export async function writeSegmentation(
  video: string,
  model: Predictor,
  options: WriteSegmentationOptions,
): Promise<SegmentationSummary> {
  const { outDir, signal } = options;
  const info = await probeVideo(video, { signal });
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
  const { outDir, signal, modelDescription, silenceGate = true } = options;
  await removeStale(outDir);
  const partial = temporaryPath(outDir);
  // Whatever fails first stops the rest: the decoders, the model and the encoder.
  const stop = new AbortController();
  const cancel = { signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal };
  let overlay: OverlayWriter | undefined;
  try {
    await mkdir(path.join(partial, maskFolder), { recursive: true });
    if (options.overlay !== false) {
      const output = path.join(partial, overlayFile);
      overlay = new OverlayWriter(info, { output, classes: model.classes, ...cancel });
    }
    const records: FrameRecord[] = [];
    const stream = openVideoSteps(info, model.imageSize, cancel);
    for await (const frame of segmentStream(stream, model, { ...options, ...cancel })) {
      records.push(await writeStep(frame, partial, cancel));
      await overlay?.add(frame);
    }
    if (records.length === 0) {
      throw new MediaError(`${info.path}: not one frame could be decoded`, {
        hint: "Check that it plays in a video player; if not, download or convert it again.",
      });
    }
    await overlay?.finish();
    const notes = notesOf(info, records, { silenceGate });
    const json = segmentsJson({
      info,
      model,
      modelDescription,
      silenceGate,
      overlay: overlay && overlayFile,
      records,
      notes,
    });
    await writeFileAtomic(path.join(partial, documentFile), json, cancel);
    await lock.assertHeld();
    await publish(partial, outDir);
    const soundingSteps = records.filter((r) => r.area > 0).length;
    return { outDir, info, steps: records.length, soundingSteps, notes };
  } catch (error) {
    throw asOutputError(error, outDir);
  } finally {
    stop.abort();
    await overlay?.ended();
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
  }
}
