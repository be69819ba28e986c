/** Writing a video again with pictures laid over its frames, by the system's ffmpeg. */
import type { Cancellable, FrameRate, VideoInfo } from "../video.js";
import { inputArguments, startTool } from "./media-tool.js";

/** Where an overlay goes and what is laid over each frame. */
export interface OverlayVideoOptions extends Cancellable {
  /** File to write (MP4). */
  readonly output: string;
  /** Straight-alpha RGBA pictures, `u8[height,width,4]`, stretched over the frame; the last one stays. */
  readonly pictures: AsyncIterable<Uint8Array>;
  readonly pictureWidth: number;
  readonly pictureHeight: number;
  /** Pictures per second, from time zero on. */
  readonly pictureRate: FrameRate;
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

/** The source's color description, which filters lose; that of RGB sources would not fit the YUV written. */
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

/** Writes the video again with pictures laid over it, with its own timestamps and the sound of its default track. */
export async function writeOverlayVideo(info: VideoInfo, options: OverlayVideoOptions): Promise<void> {
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
