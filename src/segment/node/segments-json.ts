/** `segments.json`: what sounds when and where in a video, for programs. */
import path from "node:path";
import type { Predictor } from "../../inference/predictor.js";
import { SAMPLES_PER_STEP } from "../../media/step-times.js";
import type { VideoInfo } from "../../media/video.js";
import { type Box, labelNames, overlayColor, unionOf } from "../mask.js";
import type { SegmentedFrame } from "../step-stream.js";

/** One step in `segments.json`. Pixels are those of the video as displayed. */
export interface FrameRecord {
  readonly index: number;
  /** When the frame that the model saw is on screen, in seconds; the step is the second `index`. */
  readonly time: number;
  /** File of the mask, relative to `segments.json`. */
  readonly mask: string;
  /** Pixels that sound, and their fraction of the frame. */
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
    /** RGB in the overlay, and in the mask where there are several classes. */
    readonly color: readonly number[];
  }[];
}

const rounded = (x: number) => Math.round(x * 1e4) / 1e4;

/** The record of a frame whose mask lies in `file`. */
export function recordOf({ index, timeSeconds, mask }: SegmentedFrame, file: string): FrameRecord {
  const pixels = mask.width * mask.height;
  const all = unionOf(mask.regions);
  return {
    index,
    time: rounded(timeSeconds),
    mask: file,
    area: all?.area ?? 0,
    areaFraction: rounded((all?.area ?? 0) / pixels),
    box: all?.box ?? null,
    confidence: all ? rounded(all.confidence) : null,
    objects: mask.regions.map((region) => ({
      class: region.label,
      area: region.area,
      areaFraction: rounded(region.area / pixels),
      box: region.box,
      confidence: rounded(region.confidence),
      color: overlayColor(region.index, mask.labelNames),
    })),
  };
}

/** What a user should know of a segmented video: no sound, several tracks, a file that ends early. */
export function notesOf(info: VideoInfo, records: readonly FrameRecord[], peak: number): string[] {
  const notes: string[] = [];
  const track = info.audioTrack;
  if (!track) {
    notes.push("The video has no sound: the model was given silence, so its masks say little.");
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

/** What `segmentsJson` is made of. */
export interface SegmentsDocument {
  readonly info: VideoInfo;
  readonly model: Predictor;
  readonly modelDescription: string | undefined;
  /** File of the overlay video, relative to `segments.json`; `undefined` without one. */
  readonly overlay: string | undefined;
  readonly records: readonly FrameRecord[];
  readonly notes: readonly string[];
}

/** The text of `segments.json`. */
export function segmentsJson({ info, model, ...document }: SegmentsDocument): string {
  const { path: file, audioTrack, audioTracks, durationSeconds = null, frameRate, ...source } = info;
  const content = {
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
      description: document.modelDescription ?? null,
      classes: labelNames(model.classes),
      stepsPerWindow: model.frameCount,
      imageSize: model.imageSize,
    },
    notes: document.notes,
    overlay: document.overlay ?? null,
    frames: document.records,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}
