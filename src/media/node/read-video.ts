/** Frames and sound of video files in Node, by the system's ffmpeg. */
import { fullStepAt, lastStepAt, SAMPLES_PER_STEP, type StepTime } from "../step-times.js";
import type { Cancellable, StepFrame, VideoInfo } from "../video.js";
import { inputArguments, startTool } from "./media-tool.js";

/**
 * Lets ffmpeg read a stream along and drop it. In MPEG streams its clock starts with the first stream that it reads:
 * picture and sound, read apart, would lose each other.
 */
function alongside({ container }: VideoInfo, stream: number | undefined): string[] {
  if (stream === undefined || !container.startsWith("mpeg")) return [];
  return ["-map", `0:${stream}`, "-c", "copy", "-f", "null", "-"];
}

/** Longest gap between two timestamps, in seconds, that is believed beyond the end that the container announces. */
const MAX_GAP_SECONDS = 60;

/**
 * Filters that drop a damaged timestamp: one more than a minute after the one before it and after the announced end.
 * Without them, one wrong bit makes a clip of seconds last for hours. Slides with one frame every ten minutes pass,
 * because the announced length covers them; so does a concatenated stream that is longer than it announces.
 */
function plausibleTimes({ durationSeconds }: VideoInfo, select: "select" | "aselect"): string[] {
  if (durationSeconds === undefined) return [];
  const end = durationSeconds + MAX_GAP_SECONDS;
  return [`${select}='lte(t,${end})+isnan(prev_selected_t)+lte(t-prev_selected_t,${MAX_GAP_SECONDS})'`];
}

/** Options of `readFrames`. */
export interface ReadFramesOptions extends Cancellable {
  /** Size of the frames in pixels. Default: the displayed size. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}

/**
 * The frame of every one-second step, in bounded memory. Colors are converted with the matrix that the file names, or
 * BT.601 where it names none. Throws `MediaError` when the file cannot be decoded.
 */
export async function* readFrames(
  info: VideoInfo,
  { width = info.width, height = info.height, signal }: ReadFramesOptions = {},
): AsyncGenerator<StepFrame, void, undefined> {
  // `round=up` makes a sample the last frame at or before its time, at constant and variable rates alike.
  const filters = [
    ...plausibleTimes(info, "select"),
    `fps=${SAMPLES_PER_STEP}:round=up:start_time=0`,
    `scale=${width}:${height}:flags=bilinear+accurate_rnd+full_chroma_inp+full_chroma_int`,
  ];
  const args = [
    ...inputArguments(info.path),
    ...["-map", `0:${info.stream}`, "-vf", filters.join(",")],
    ...["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"],
    ...alongside(info, info.audioTrack?.stream),
  ];
  const tool = startTool("ffmpeg", args, { source: info.path, signal });
  const frameBytes = width * height * 3;
  let rgb = new Uint8Array(frameBytes);
  let filled = 0;
  let samples = 0;
  const frameOf = (time: StepTime): StepFrame => {
    const frame = { ...time, rgb };
    rgb = new Uint8Array(frameBytes);
    return frame;
  };
  for await (const piece of tool.output()) {
    for (let at = 0; at < piece.length; ) {
      // A sample overwrites the one before it, so that the last of the second remains.
      const part = piece.subarray(at, at + frameBytes - filled);
      rgb.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < frameBytes) break;
      filled = 0;
      samples++;
      const full = fullStepAt(samples);
      if (full) yield frameOf(full);
    }
  }
  const last = lastStepAt(samples);
  if (last) yield frameOf(last);
}

/**
 * Mono sound (mean of channels) of the default track at `sampleRateHz`, from time zero on, in pieces of any length. A
 * late start and gaps are silent; samples before time zero are dropped. Without an audio track there are no pieces.
 * ffmpeg resamples while it reads, as AVSBench's own WAV files were made.
 */
export async function* readMonoSound(
  info: VideoInfo,
  { sampleRateHz, signal }: Cancellable & { sampleRateHz: number },
): AsyncGenerator<Float32Array<ArrayBuffer>, void, undefined> {
  const track = info.audioTrack;
  if (!track) return;
  const fraction = 1 / track.channels;
  const mean = Array.from({ length: track.channels }, (_, c) => `${fraction}*c${c}`).join("+");
  // `first_pts=0` and `async=1` put every sample at its time: silence where there is none, cut before zero.
  const filters = [
    ...plausibleTimes(info, "aselect"),
    `pan=mono|c0=${mean}`,
    `aresample=${sampleRateHz}:async=1:first_pts=0`,
  ];
  const args = [
    ...inputArguments(info.path),
    ...["-map", `0:${track.stream}`, "-af", filters.join(",")],
    ...["-f", "f32le", "pipe:1"],
    ...alongside(info, info.stream),
  ];
  const tool = startTool("ffmpeg", args, { source: info.path, signal });
  let rest: Uint8Array = new Uint8Array(0);
  for await (const piece of tool.output()) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, piece]) : piece;
    const complete = bytes.length - (bytes.length % 4);
    rest = bytes.subarray(complete);
    // Copied to a buffer of its own: pieces of a pipe are not aligned to floats.
    if (complete > 0) yield new Float32Array(Uint8Array.from(bytes.subarray(0, complete)).buffer);
  }
}
