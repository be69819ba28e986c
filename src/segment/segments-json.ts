/** `segments.json`: what sounds when and where in a video, for programs. */
import type { Predictor } from "../inference/predictor.js";
import { SAMPLES_PER_STEP } from "../media/step-times.js";
import type { VideoInfo } from "../media/video.js";
import { type Box, labelNames, overlayColor, unionOf } from "./mask.js";
import { SILENCE_DBFS } from "./silence.js";
import type { SegmentedFrame } from "./step-stream.js";

/** One mask in `segments.json`. Pixels are those of the video as displayed. */
export interface FrameRecord {
  readonly index: number;
  /** In seconds: the mask is that of the last frame at or before this time. */
  readonly time: number;
  /** Whether the model predicted the mask from this frame, or it was moved here along the picture's motion. */
  readonly kind: SegmentedFrame["kind"];
  /** Whether the frame's second of sound is silent: it never exceeds -60 dBFS. */
  readonly silent: boolean;
  /** PNG file of the mask, relative to `segments.json`; `null` where masks have another form. */
  readonly mask: string | null;
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

/** The record of a frame whose mask is the PNG file `file`, if any. */
export function recordOf(
  {
    index,
    timeSeconds,
    kind,
    silent,
    mask,
  }: Pick<SegmentedFrame, "index" | "timeSeconds" | "kind" | "silent" | "mask">,
  file: string | null,
): FrameRecord {
  const pixels = mask.width * mask.height;
  const all = unionOf(mask.regions);
  return {
    index,
    time: rounded(timeSeconds),
    kind,
    silent,
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

/** Forms of masks: a PNG file each, one COCO file of run lengths, or none. */
export const maskFormats = ["png", "rle", "none"] as const;

/** A form of masks. */
export type MaskFormat = (typeof maskFormats)[number];

/** How masks were made, for `notesOf` and `segmentsJson`. */
export interface MaskSettings {
  /** Masks per second that the model predicted. */
  readonly rate: number;
  readonly everyFrame: boolean;
  readonly refine: boolean;
  readonly silenceGate: boolean;
  /** Default: `png`. */
  readonly format?: MaskFormat | undefined;
}

/** The number of seconds in which some of `records` lie. */
export function secondsOf(records: readonly FrameRecord[]): number {
  return new Set(records.map(({ time }) => Math.floor(time))).size;
}

/** A note about silent seconds; `undefined` if no second is silent. */
function silenceNote(info: VideoInfo, records: readonly FrameRecord[], gate: boolean): string | undefined {
  const silent = secondsOf(records.filter((record) => record.silent));
  if (silent === 0) return undefined;
  const total = secondsOf(records);
  const all = silent === total;
  const which = !info.audioTrack
    ? "The video has no sound"
    : `${all ? "All" : `${silent} of ${total}`} seconds are silent (no sample above ${SILENCE_DBFS} dBFS)`;
  if (gate) return `${which}: ${all ? "all masks" : "their masks"} are empty.`;
  return `${which}, and the silence gate is off: ${all ? "the masks" : "their masks"} say little.`;
}

/** What a user should know of a segmented video: silence, several tracks, a file that ends early. */
export function notesOf(
  info: VideoInfo,
  records: readonly FrameRecord[],
  { silenceGate }: Pick<MaskSettings, "silenceGate">,
): string[] {
  const notes: string[] = [];
  const track = info.audioTrack;
  if (track && info.audioTracks.length > 1) {
    const number = info.audioTracks.findIndex((t) => t.stream === track.stream) + 1;
    const language = track.language ? `, ${track.language}` : "";
    notes.push(
      `Of ${info.audioTracks.length} audio tracks, number ${number} was used (the default one${language}).`,
    );
  }
  const silence = silenceNote(info, records, silenceGate);
  if (silence) notes.push(silence);
  const end = (records.at(-1)?.time ?? 0) - (info.slice?.startSeconds ?? 0) + 1 / SAMPLES_PER_STEP;
  if (info.durationSeconds !== undefined && end < info.durationSeconds - 1) {
    notes.push(
      `The file announces ${info.durationSeconds.toFixed(1)} s, but its picture ends after ${end.toFixed(1)} s.`,
    );
  }
  return notes;
}

/** What `segmentsJson` is made of. */
export interface SegmentsDocument {
  readonly settings: MaskSettings;
  readonly info: VideoInfo;
  readonly model: Pick<Predictor, "classes" | "frameCount" | "imageSize">;
  readonly modelDescription: string | undefined;
  /** Files, relative to `segments.json`; `undefined` where they were not written. */
  readonly overlay: string | undefined;
  readonly cutout?: string | undefined;
  readonly masksFile?: string | undefined;
  readonly records: readonly FrameRecord[];
  readonly notes: readonly string[];
}

/** The text of `segments.json`. */
export function segmentsJson({ info, model, settings, ...document }: SegmentsDocument): string {
  const { path: file, audioTrack, audioTracks, durationSeconds = null, frameRate, ...source } = info;
  const content = {
    format: "avseg-segments",
    version: 1,
    source: {
      file: file.split(/[\\/]/).at(-1),
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
    masks: {
      perSecond: settings.rate,
      everyFrame: settings.everyFrame,
      refined: settings.refine,
      format: settings.format ?? "png",
      file: document.masksFile ?? null,
    },
    silenceGate: { enabled: settings.silenceGate, thresholdDbfs: SILENCE_DBFS },
    notes: document.notes,
    overlay: document.overlay ?? null,
    cutout: document.cutout ?? null,
    frames: document.records,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}
