/** Video files as the rest of avseg sees them: what a file holds, and the four things done with it. */

/** Samples per second of which a step's frame is the last one, as published. */
export const SAMPLES_PER_STEP = 16;
/** A last second that the video covers with fewer samples is no step of its own, unless it is the only one. */
export const FEWEST_SAMPLES = 4;

/** One audio track of a video file. */
export interface AudioTrack {
  /** Index of the stream in the file. */
  readonly stream: number;
  readonly codec: string;
  readonly channels: number;
  readonly sampleRateHz: number;
  readonly language: string | undefined;
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
  /** Clockwise turn that the player applies: 0, 90, 180 or 270 as a rule. */
  readonly rotationDegrees: number;
  /** Width of a stored pixel over its height. */
  readonly pixelAspectRatio: number;
  /** Colour description as ffmpeg names it (`bt709`, `smpte170m`, ...), where the file has one. */
  readonly color: {
    readonly space: string | undefined;
    readonly primaries: string | undefined;
    readonly transfer: string | undefined;
  };
  /** Average frame rate as an exact fraction. */
  readonly frameRate: { readonly numerator: number; readonly denominator: number };
  /** When the first frame is shown; above zero where the sound starts first. */
  readonly startSeconds: number;
  readonly audioTracks: readonly AudioTrack[];
  /** The track a player would choose (marked default, else the first); `undefined` without sound. */
  readonly audioTrack: AudioTrack | undefined;
}

/** How a long operation is stopped. */
export interface Cancellable {
  readonly signal?: AbortSignal | undefined;
}

/** The frame of one step. */
export interface StepFrame {
  /** Number of the step: it covers `[index, index + 1)` seconds. */
  readonly index: number;
  /** When the frame is on screen: the last sixteenth of the second, or the video's end. */
  readonly timeSeconds: number;
  /** How much of the second the video covers, in (0, 1]; below 1 only at the end. */
  readonly coveredSeconds: number;
  /** RGB, `u8[H,W,3]` row-major. */
  readonly rgb: Uint8Array<ArrayBuffer>;
}

/** Where an overlay goes and what is laid over each frame. */
export interface OverlayOptions extends Cancellable {
  /** File to write (MP4). */
  readonly output: string;
  /** Straight-alpha RGBA pictures, `u8[height,width,4]`, stretched over the whole frame; the last one stays. */
  readonly pictures: AsyncIterable<Uint8Array>;
  readonly pictureWidth: number;
  readonly pictureHeight: number;
  /** Pictures per second, from time zero on. */
  readonly pictureRate: { readonly numerator: number; readonly denominator: number };
}

/** What a platform must offer to read and write videos: Node spawns ffmpeg, a browser uses WebCodecs. */
export interface VideoBackend<Source> {
  /** Reads a file's header. Throws `MediaError` when it is no video. */
  info(source: Source, options?: Cancellable): Promise<VideoInfo>;
  /**
   * The frame of every one-second step, scaled to `width` x `height` (default: displayed size). Memory is bounded.
   * As published: the second is sampled 16 times, and the last sample is kept.
   */
  framesAt(
    info: VideoInfo,
    options?: Cancellable & { width?: number | undefined; height?: number | undefined },
  ): AsyncGenerator<StepFrame, void, undefined>;
  /**
   * Mono sound (mean of channels) of the chosen track at `sampleRateHz`, from time zero on, in pieces of any length:
   * a late start and gaps are silent, what lies before zero is dropped. Yields nothing without an audio track.
   */
  monoAudio(
    info: VideoInfo,
    options: Cancellable & { sampleRateHz: number },
  ): AsyncGenerator<Float32Array<ArrayBuffer>, void, undefined>;
  /** Writes the video again with pictures laid over it, with the source's timestamps and the chosen track's sound. */
  writeOverlay(info: VideoInfo, options: OverlayOptions): Promise<void>;
}
