/** Video files in Node: frames, sound and overlays by the system's ffmpeg. */

import {
  type Cancellable,
  FEWEST_SAMPLES,
  type OverlayOptions,
  SAMPLES_PER_STEP,
  type StepFrame,
  type VideoBackend,
  type VideoInfo,
} from "../video.js";
import { inputArguments, startTool } from "./ffmpeg-process.js";
import { probeVideo } from "./ffprobe.js";

/**
 * Lets ffmpeg read a stream along and drop it. In MPEG streams its clock starts with the first stream that it reads:
 * picture and sound, read apart, would lose each other.
 */
function alongside({ container }: VideoInfo, stream: number | undefined): string[] {
  if (stream === undefined || !container.startsWith("mpeg")) return [];
  return ["-map", `0:${stream}`, "-c", "copy", "-f", "null", "-"];
}

async function* framesAt(
  info: VideoInfo,
  {
    width = info.width,
    height = info.height,
    signal,
  }: Cancellable & { width?: number | undefined; height?: number | undefined } = {},
): AsyncGenerator<StepFrame, void, undefined> {
  // `round=up` makes a sample the last frame at or before its time, at constant and variable rates alike.
  const filters = [
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
  const step = (): StepFrame => {
    const index = Math.ceil(samples / SAMPLES_PER_STEP) - 1;
    const frame = { index, timeSeconds: (samples - 1) / SAMPLES_PER_STEP, rgb };
    rgb = new Uint8Array(frameBytes);
    return { ...frame, coveredSeconds: samples / SAMPLES_PER_STEP - index };
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
      if (samples % SAMPLES_PER_STEP === 0) yield step();
    }
  }
  const rest = samples % SAMPLES_PER_STEP;
  if (rest >= FEWEST_SAMPLES || (rest > 0 && samples === rest)) yield step();
}

async function* monoAudio(
  info: VideoInfo,
  { sampleRateHz, signal }: Cancellable & { sampleRateHz: number },
): AsyncGenerator<Float32Array<ArrayBuffer>, void, undefined> {
  const track = info.audioTrack;
  if (!track) return;
  const share = 1 / track.channels;
  const mean = Array.from({ length: track.channels }, (_, c) => `${share}*c${c}`).join("+");
  // `first_pts=0` and `async=1` put every sample at its time: silence where there is none, cut before zero.
  const filters = [`pan=mono|c0=${mean}`, `aresample=${sampleRateHz}:async=1:first_pts=0`];
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
    const whole = bytes.length - (bytes.length % 4);
    rest = bytes.subarray(whole);
    // Copied to a buffer of its own: pieces of a pipe are not aligned to floats.
    if (whole > 0) yield new Float32Array(Uint8Array.from(bytes.subarray(0, whole)).buffer);
  }
}

/** The source's frames, square-pixelled and padded to even sizes (by repeating the edge), under the pictures. */
function overlayFilter(info: VideoInfo, rate: string): string {
  const [right, bottom] = [info.width % 2, info.height % 2];
  const source = [`scale=${info.width}:${info.height}`, "setsar=1"];
  if (right + bottom > 0) {
    // Subsampled chroma cannot end on half a pixel.
    source.push("format=yuv444p", `pad=${info.width + right}:${info.height + bottom}`);
    source.push(`fillborders=right=${right}:bottom=${bottom}:mode=smear`);
  }
  // Half a picture early, so that rounded timestamps never find the picture before theirs.
  const pictures = [
    `setpts=PTS-0.5/(${rate})/TB`,
    "format=yuva420p",
    `scale=${info.width}:${info.height}:flags=bilinear`,
  ];
  return [
    `[0:${info.stream}]${source.join(",")}[video]`,
    `[1:v]${pictures.join(",")}[pictures]`,
    "[video][pictures]overlay=format=auto:eof_action=repeat[out]",
  ].join(";");
}

/** The source's colour description, which filters lose; that of RGB sources would not fit the YUV written. */
function colorTags({ color }: VideoInfo): string[] {
  const tags = {
    "-colorspace": color.space,
    "-color_primaries": color.primaries,
    "-color_trc": color.transfer,
  };
  if (color.space === "gbr" || color.space === "rgb") return [];
  return Object.entries(tags).flatMap(([option, value]) =>
    value && /^[a-z0-9-]+$/.test(value) && value !== "reserved" ? [option, value] : [],
  );
}

/** Keeps each frame's own time, without repeats to a constant rate; ffmpeg renamed the option in 5.1. */
async function keepTimestamps(options: Cancellable & { source: string }): Promise<string[]> {
  let report = "";
  for await (const piece of startTool("ffmpeg", ["-version"], options).output()) report += piece.toString();
  const [, major, minor] = /version n?(\d+)\.(\d+)/.exec(report) ?? [];
  const old = major !== undefined && Number(major) + Number(minor) / 10 < 5.05;
  return [old ? "-vsync" : "-fps_mode", "vfr"];
}

async function writeOverlay(info: VideoInfo, options: OverlayOptions): Promise<void> {
  const { pictureWidth, pictureHeight, pictureRate, pictures, output, signal } = options;
  const rate = `${pictureRate.numerator}/${pictureRate.denominator}`;
  const track = info.audioTrack;
  // AAC is copied as it is; other codecs do not play from an MP4 everywhere.
  const sound = track ? ["-map", `0:${track.stream}`, "-c:a", track.codec === "aac" ? "copy" : "aac"] : [];
  const args = [
    ...inputArguments(info.path),
    ...["-protocol_whitelist", "pipe", "-f", "rawvideo", "-pix_fmt", "rgba"],
    ...["-video_size", `${pictureWidth}x${pictureHeight}`, "-framerate", rate, "-i", "pipe:0"],
    ...["-filter_complex", overlayFilter(info, rate), "-map", "[out]", ...sound],
    ...["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", ...colorTags(info)],
    // A fine time base keeps the timestamps of variable frame rates.
    ...(await keepTimestamps({ source: info.path, signal })),
    ...["-enc_time_base:v", "1:90000", "-video_track_timescale", "90000"],
    ...["-movflags", "+faststart", "-f", "mp4", "-y", `file:${output}`],
  ];
  const tool = startTool("ffmpeg", args, { source: info.path, output, signal });
  try {
    for await (const picture of pictures) {
      if (!(await tool.write(picture))) break;
    }
    await tool.finished();
  } finally {
    await tool.stop();
  }
}

/**
 * Video files by the system's ffmpeg. Sound is resampled by ffmpeg while it streams, as AVSBench's own WAV files
 * were; colours are converted with the matrix that the file names, or BT.601 where it names none.
 */
export const ffmpegBackend: VideoBackend<string> = { info: probeVideo, framesAt, monoAudio, writeOverlay };
