/** Any video in; masks, `segments.json` and an overlay video out. */
import { existsSync } from "node:fs";
import { mkdir, rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { MediaError } from "../../errors.js";
import type { Predictor } from "../../inference/predictor.js";
import { VGGISH_RATE_HZ } from "../../media/log-mel.js";
import { ffmpegBackend } from "../../media/node/ffmpeg.js";
import { encodePng } from "../../media/node/image-file.js";
import { labelPicture } from "../../media/palette.js";
import { SAMPLES_PER_STEP, type VideoBackend, type VideoInfo } from "../../media/video.js";
import { ensureWritableDir, removeStale, temporaryPath, writeFileAtomic } from "../../node/files.js";
import { asOutputError } from "../../node/system-error.js";
import { type Box, classNameOf, labelNames, type Mask, maskOf, unionOf } from "../mask.js";
import { overlayColor, overlayPictures, pictureSize } from "../overlay-picture.js";
import { predictSteps, type Step } from "../predict-steps.js";

/** How far a video is. */
export interface SegmentProgress {
  readonly doneSeconds: number;
  /** As the file announces it; `undefined` where it does not. */
  readonly totalSeconds: number | undefined;
}

/** Settings of `segmentVideo`. */
export interface SegmentOptions {
  /** Folder for `overlay.mp4`, `masks/` and `segments.json`; made if absent, earlier results are replaced. */
  readonly outDir: string;
  /** What the model is and what it was trained on: goes into `segments.json`. */
  readonly modelDescription?: string | undefined;
  /** False leaves out `overlay.mp4`. */
  readonly overlay?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: SegmentProgress) => void) | undefined;
  readonly backend?: VideoBackend<string> | undefined;
}

/** One step in `segments.json`. Pixels are those of the video as displayed. */
export interface FrameRecord {
  readonly index: number;
  /** When the frame that was looked at is on screen, in seconds; the step is the second `index`. */
  readonly time: number;
  /** File of the mask, relative to `segments.json`. */
  readonly mask: string;
  /** Pixels that sound, and their share of the frame. */
  readonly area: number;
  readonly areaFraction: number;
  /** Left, top, width, height; `null` where nothing sounds. */
  readonly box: Box | null;
  /** Mean probability over the mask; `null` where nothing sounds. */
  readonly confidence: number | null;
  /** The same per class, the largest first. */
  readonly objects: readonly {
    readonly class: string;
    readonly area: number;
    readonly areaFraction: number;
    readonly box: Box;
    readonly confidence: number;
    /** RGB in the overlay, and in the mask when there are several classes. */
    readonly color: readonly number[];
  }[];
}

/** What was made of a video. */
export interface SegmentSummary {
  readonly outDir: string;
  readonly info: VideoInfo;
  /** One-second steps. */
  readonly steps: number;
  /** Steps in which something sounds. */
  readonly soundingSteps: number;
  /** What the user should know: no sound, several tracks, a file that ends early. */
  readonly notes: readonly string[];
}

const rounded = (x: number) => Math.round(x * 1e4) / 1e4;

function recordOf(step: Step, mask: Mask, file: string, classes: readonly string[]): FrameRecord {
  const pixels = mask.width * mask.height;
  const all = unionOf(mask.regions);
  return {
    index: step.index,
    time: rounded(step.timeSeconds),
    mask: file,
    area: all?.area ?? 0,
    areaFraction: rounded((all?.area ?? 0) / pixels),
    box: all?.box ?? null,
    confidence: all ? rounded(all.confidence) : null,
    objects: mask.regions.map(({ index, area, box, confidence }) => ({
      class: classNameOf(classes, index),
      area,
      areaFraction: rounded(area / pixels),
      box,
      confidence: rounded(confidence),
      color: overlayColor(index, classes.length),
    })),
  };
}

function notesOf(info: VideoInfo, records: readonly FrameRecord[], peak: number): string[] {
  const notes: string[] = [];
  const track = info.audioTrack;
  if (!track) {
    notes.push("The video has no sound: the model heard silence, so its masks say little.");
  } else {
    if (info.audioTracks.length > 1) {
      const number = info.audioTracks.findIndex((t) => t.stream === track.stream) + 1;
      const language = track.language ? `, ${track.language}` : "";
      notes.push(
        `Of ${info.audioTracks.length} audio tracks, number ${number} was used (the default one${language}).`,
      );
    }
    if (peak === 0) notes.push("The sound is digital silence throughout, so the masks say little.");
  }
  const end = (records.at(-1)?.time ?? 0) + 1 / SAMPLES_PER_STEP;
  if (info.durationSeconds !== undefined && end < info.durationSeconds - 1) {
    notes.push(
      `The file announces ${info.durationSeconds.toFixed(1)} s, but its picture ends after ${end.toFixed(1)} s.`,
    );
  }
  return notes;
}

function segmentsJson(
  info: VideoInfo,
  predictor: Predictor,
  options: SegmentOptions,
  records: readonly FrameRecord[],
  notes: readonly string[],
): string {
  const { path: file, audioTrack, audioTracks, durationSeconds = null, frameRate, ...source } = info;
  const document = {
    format: "avseg-segments",
    version: 1,
    source: {
      file: path.basename(file),
      ...source,
      durationSeconds,
      frameRate: frameRate.numerator / frameRate.denominator,
      audioTracks,
      audioTrackUsed: audioTrack?.stream ?? null,
    },
    model: {
      description: options.modelDescription ?? null,
      classes: labelNames(predictor.classes),
      stepsPerWindow: predictor.frameCount,
      imageSize: predictor.imageSize,
    },
    notes,
    overlay: options.overlay === false ? null : "overlay.mp4",
    frames: records,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** The source's own rate, so that every frame has its picture, within what the eye can tell. */
function pictureRate({ frameRate }: VideoInfo): VideoInfo["frameRate"] {
  const perSecond = frameRate.numerator / frameRate.denominator;
  if (perSecond > 60) return { numerator: 60, denominator: 1 };
  return perSecond < 5 ? { numerator: 5, denominator: 1 } : frameRate;
}

/** Moves what was made from `from` into `outDir`, in place of what an earlier run left there; the JSON goes last. */
async function publish(from: string, outDir: string): Promise<void> {
  for (const name of ["masks", "overlay.mp4", "segments.json"]) {
    const target = path.join(outDir, name);
    await rm(target, { recursive: true, force: true });
    if (existsSync(path.join(from, name))) await rename(path.join(from, name), target);
  }
}

/**
 * Segments what sounds in a video of any length, size and rotation: `masks/000000.png` for every second, at the
 * displayed size; `segments.json`; and `overlay.mp4` with the original sound and timestamps, the masks blended
 * between the seconds. Memory does not grow with the length. Nothing is left behind on failure or abort, and what
 * killed processes left in the folder is removed. Throws `MediaError` (the video), `OutputError` (the folder), and the
 * signal's reason.
 */
export async function segmentVideo(
  video: string,
  predictor: Predictor,
  options: SegmentOptions,
): Promise<SegmentSummary> {
  const { outDir, signal, onProgress, backend = ffmpegBackend } = options;
  const cancel = { signal };
  const info = await backend.info(video, cancel);
  const existed = existsSync(outDir);
  await ensureWritableDir(outDir);
  await removeStale(outDir);
  const partial = temporaryPath(outDir);

  const side = predictor.imageSize;
  const frames = backend.framesAt(info, { width: side, height: side, ...cancel });
  const sound = backend.monoAudio(info, { sampleRateHz: VGGISH_RATE_HZ, ...cancel });
  const records: FrameRecord[] = [];
  let peak = 0;

  /** Every step passes here once, whoever asks for it: its mask is written and recorded. */
  async function* recordedSteps(): AsyncGenerator<Step, void, undefined> {
    for await (const step of predictSteps(predictor, frames, sound, cancel)) {
      const mask = maskOf(step.map, info.width, info.height);
      const file = `masks/${String(step.index).padStart(6, "0")}.png`;
      const { labels, height, width } = mask;
      const semantic = predictor.classes.length > 2;
      const png = await encodePng(labelPicture({ shape: [height, width], data: labels }, semantic));
      await writeFileAtomic(path.join(partial, file), png, cancel);
      records.push(recordOf(step, mask, file, predictor.classes));
      peak = Math.max(peak, step.peak);
      onProgress?.({ doneSeconds: step.index + step.coveredSeconds, totalSeconds: info.durationSeconds });
      yield step;
    }
  }

  const steps = recordedSteps();
  try {
    await mkdir(path.join(partial, "masks"), { recursive: true });
    if (options.overlay !== false) {
      const size = pictureSize(info.width, info.height);
      const rate = pictureRate(info);
      const colorOf = (index: number) => overlayColor(index, predictor.classes.length);
      await backend.writeOverlay(info, {
        output: path.join(partial, "overlay.mp4"),
        pictures: overlayPictures(steps, { ...size, rate, colorOf }),
        pictureWidth: size.width,
        pictureHeight: size.height,
        pictureRate: rate,
        ...cancel,
      });
    }
    for await (const _ of steps); // what the overlay did not ask for
    if (records.length === 0) {
      throw new MediaError(`${video}: not one frame could be decoded`, {
        hint: "Check that it plays in a video player; if not, fetch or convert it again.",
      });
    }
    const notes = notesOf(info, records, peak);
    const json = segmentsJson(info, predictor, options, records, notes);
    await writeFileAtomic(path.join(partial, "segments.json"), json, cancel);
    await publish(partial, outDir);
    const soundingSteps = records.filter((r) => r.area > 0).length;
    return { outDir, info, steps: records.length, soundingSteps, notes };
  } catch (error) {
    throw asOutputError(error, outDir);
  } finally {
    await Promise.allSettled([steps.return(), frames.return(), sound.return()]);
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
    if (!existed) await rmdir(outDir).catch(() => undefined); // only where nothing was put
  }
}
