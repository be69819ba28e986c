/** Video files as the rest of avseg sees them: what a file holds, and the frames that a model looks at. */
import { MediaError } from "../errors.js";
import type { ImageTensor } from "./resize.js";
import type { StepTime } from "./step-times.js";

/** One audio track of a video file. */
export interface AudioTrack {
  /** Index of the stream in the file. */
  readonly stream: number;
  readonly codec: string;
  readonly channels: number;
  readonly sampleRateHz: number;
  readonly language: string | undefined;
}

/** Frames per second as an exact fraction. */
export interface FrameRate {
  readonly numerator: number;
  readonly denominator: number;
}

/** A part of a video. */
export interface VideoSlice {
  readonly startSeconds: number;
  /** Default: the video's end. */
  readonly endSeconds?: number | undefined;
}

/** What a video file holds. Times count from the start of the file's presentation timeline. */
export interface VideoInfo {
  readonly path: string;
  readonly container: string;
  readonly codec: string;
  /** Index of the video stream in the file. */
  readonly stream: number;
  /** As the container announces it; a truncated file is shorter, some streams announce nothing. */
  readonly durationSeconds: number | undefined;
  /** Displayed size in square pixels: after rotation and pixel aspect ratio. */
  readonly width: number;
  readonly height: number;
  /** Clockwise rotation that players apply, usually 0, 90, 180 or 270. */
  readonly rotationDegrees: number;
  /** Width of a stored pixel over its height. */
  readonly pixelAspectRatio: number;
  /** Color description as ffmpeg names it (`bt709`, `smpte170m`, ...), where the file has one. */
  readonly color: {
    readonly space: string | undefined;
    readonly primaries: string | undefined;
    readonly transfer: string | undefined;
    /** `tv` or `pc`. */
    readonly range: string | undefined;
  };
  /** Average frame rate. */
  readonly frameRate: FrameRate;
  /** When the first frame is shown; above zero where the sound starts first. */
  readonly startSeconds: number;
  readonly audioTracks: readonly AudioTrack[];
  /** The track that players choose: the default one, else the first. `undefined` without sound. */
  readonly audioTrack: AudioTrack | undefined;
  /** The part that is read, see `sliceOf`. Default: all. */
  readonly slice?: VideoSlice | undefined;
}

/**
 * The length of a part of the video called `name`, in seconds; `undefined` where neither the part nor the video has an end.
 * Throws `RangeError` for an empty part, and `MediaError` for one after the video's end.
 */
export function sliceSeconds(
  { startSeconds, endSeconds }: VideoSlice,
  { name, durationSeconds }: { readonly name: string; readonly durationSeconds: number | undefined },
): number | undefined {
  if (!(startSeconds >= 0) || (endSeconds !== undefined && !(endSeconds > startSeconds))) {
    throw new RangeError(
      `slice: expected 0 <= start < end, got ${startSeconds} to ${endSeconds ?? "the end"}`,
    );
  }
  if (durationSeconds !== undefined && startSeconds >= durationSeconds) {
    throw new MediaError(
      `${name}: the slice starts at ${startSeconds} s, but the video ends after ${durationSeconds.toFixed(1)} s`,
      { hint: "Choose a part of the video with --slice START-END, or from code with the option slice." },
    );
  }
  const end = Math.min(endSeconds ?? Number.POSITIVE_INFINITY, durationSeconds ?? Number.POSITIVE_INFINITY);
  return Number.isFinite(end) ? end - startSeconds : undefined;
}

/** A part of a video; its times count from the part's start. Throws as `sliceSeconds` does. */
export function sliceOf(info: VideoInfo, slice: VideoSlice): VideoInfo {
  return {
    ...info,
    slice,
    durationSeconds: sliceSeconds(slice, { name: info.path, durationSeconds: info.durationSeconds }),
    startSeconds: Math.max(0, info.startSeconds - slice.startSeconds),
  };
}

/** Options of an operation that can be stopped. */
export interface Cancellable {
  readonly signal?: AbortSignal | undefined;
}

/** Size of a frame in pixels. */
export interface FrameSize {
  readonly width: number;
  readonly height: number;
}

/** The frame of one step. */
export interface StepFrame extends StepTime {
  /** RGB at the model's size, `u8[H,W,3]` row-major. */
  readonly rgb: Uint8Array<ArrayBuffer>;
  /** The same frame larger, RGB, to which edges of masks are fitted. */
  readonly guide?: ImageTensor | undefined;
}

/** A picture that is on screen at a time. */
export interface PictureFrame {
  readonly timeSeconds: number;
  /** RGB, `u8[H,W,3]`. */
  readonly image: ImageTensor;
  /** Gives the memory of the image back, to take a later one. Called at most once, when the image is no longer used. */
  readonly release?: (() => void) | undefined;
}
