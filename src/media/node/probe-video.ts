/** What a video file holds, by `ffprobe`. */
import * as z from "zod";
import { MediaError } from "../../errors.js";
import type { AudioTrack, Cancellable, VideoInfo } from "../video.js";
import { MAX_IMAGE_PIXELS } from "./input-file.js";
import { videoReport } from "./video-report.js";

const streamSchema = z.object({
  index: z.number(),
  codec_type: z.string().optional(),
  codec_name: z.string().default("unknown"),
  width: z.number().default(0),
  height: z.number().default(0),
  sample_aspect_ratio: z.string().optional(),
  avg_frame_rate: z.string().optional(),
  r_frame_rate: z.string().optional(),
  color_space: z.string().optional(),
  color_primaries: z.string().optional(),
  color_transfer: z.string().optional(),
  color_range: z.string().optional(),
  start_time: z.coerce.number().optional(),
  sample_rate: z.coerce.number().default(0),
  channels: z.number().default(0),
  disposition: z.record(z.string(), z.number()).default({}),
  tags: z.record(z.string(), z.string()).default({}),
  side_data_list: z.array(z.looseObject({ rotation: z.number().optional() })).default([]),
});
type Stream = z.infer<typeof streamSchema>;

const reportSchema = z.object({
  streams: z.array(streamSchema).default([]),
  format: z.object({
    format_name: z.string().default("unknown"),
    duration: z.coerce.number().optional(),
    start_time: z.coerce.number().optional(),
  }),
});

/** `30000/1001` or `4:3` as two positive integers, or `undefined`. */
function fraction(text: string | undefined): { numerator: number; denominator: number } | undefined {
  const [, a, b] = /^(\d+)[/:](\d+)$/.exec(text ?? "") ?? [];
  const [numerator, denominator] = [Number(a), Number(b)];
  return numerator > 0 && denominator > 0 ? { numerator, denominator } : undefined;
}

function chooseVideo(streams: readonly Stream[]): Stream | undefined {
  // The cover picture of a sound file is a video stream of one frame, too.
  const videos = streams.filter((s) => s.codec_type === "video" && s.disposition.attached_pic !== 1);
  return videos.find((s) => s.disposition.default === 1) ?? videos[0];
}

/** What a file without a video stream is: a picture attached to a sound file is its cover, not a video. */
function withoutVideo(streams: readonly Stream[]): string {
  if (streams.some((s) => s.codec_type === "audio")) {
    const cover = streams.some((s) => s.disposition.attached_pic === 1);
    return `a sound file: it has no picture${cover ? " but its cover" : ""}`;
  }
  const kinds = [...new Set(streams.map((s) => s.codec_type ?? "unknown"))].join(", ");
  return `expected a video stream, found ${kinds || "no stream"}`;
}

function describeTrack(s: Stream): AudioTrack {
  const language = s.tags.language === "und" ? undefined : s.tags.language;
  return {
    stream: s.index,
    codec: s.codec_name,
    channels: s.channels,
    sampleRateHz: s.sample_rate,
    language,
  };
}

/** Width of a stored pixel over its height; a stretch of less than one pixel in all is an encoder's rounding. */
function aspectRatio(video: Stream): number {
  const sar = fraction(video.sample_aspect_ratio);
  const ratio = sar ? sar.numerator / sar.denominator : 1;
  return Math.abs(ratio - 1) * video.width < 1 ? 1 : ratio;
}

/** Displayed size: pixels made square by stretching the width, then the rotation. */
function displayedSize(video: Stream, pixelAspectRatio: number, rotationDegrees: number) {
  const width = Math.max(1, Math.round(video.width * pixelAspectRatio));
  const turned = rotationDegrees % 180 === 90;
  return turned ? { width: video.height, height: width } : { width, height: video.height };
}

/** Options of `probeVideo`. */
export interface ProbeVideoOptions extends Cancellable {
  /** What `videoReport` says of the file. Default: it is asked for. */
  readonly report?: Promise<string> | undefined;
}

/**
 * Reads what a video file holds. Throws `MediaError` when it is missing, empty, unreadable, a playlist,
 * or has no video stream.
 */
export async function probeVideo(file: string, options: ProbeVideoOptions = {}): Promise<VideoInfo> {
  const report = reportSchema.parse(JSON.parse(await (options.report ?? videoReport(file, options))));

  const video = chooseVideo(report.streams);
  if (!video || video.width < 1 || video.height < 1) {
    throw new MediaError(`${file}: ${withoutVideo(report.streams)}`, { hint: "Give a video file." });
  }
  const pixelAspectRatio = aspectRatio(video);
  const turn = video.side_data_list.find((d) => d.rotation !== undefined)?.rotation ?? 0;
  const rotationDegrees = (360 - (Math.round(turn) % 360)) % 360;
  const { width, height } = displayedSize(video, pixelAspectRatio, rotationDegrees);
  if (width * height > MAX_IMAGE_PIXELS) {
    throw new MediaError(
      `${file}: frames of ${width}x${height}, expected at most ${MAX_IMAGE_PIXELS} pixels`,
      {
        hint: "Scale the video down first.",
      },
    );
  }
  const audio = report.streams.filter((s) => s.codec_type === "audio" && s.channels > 0 && s.sample_rate > 0);
  const chosen = audio.find((s) => s.disposition.default === 1) ?? audio[0];
  const duration = report.format.duration;
  return {
    path: file,
    container: report.format.format_name,
    codec: video.codec_name,
    stream: video.index,
    durationSeconds: duration !== undefined && duration > 0 ? duration : undefined,
    width,
    height,
    rotationDegrees,
    pixelAspectRatio,
    color: {
      space: video.color_space,
      primaries: video.color_primaries,
      transfer: video.color_transfer,
      range: video.color_range,
    },
    frameRate: fraction(video.avg_frame_rate) ??
      fraction(video.r_frame_rate) ?? { numerator: 25, denominator: 1 },
    startSeconds: Math.max(0, (video.start_time ?? 0) - (report.format.start_time ?? 0)),
    audioTracks: audio.map(describeTrack),
    audioTrack: chosen && describeTrack(chosen),
  };
}
