/** Writing a video again with layers of masks over its frames, by the system's ffmpeg. */
import type { Writable } from "node:stream";
import { type Look, lookEffects, outlineOpacity } from "../looks.js";
import type { Cancellable, FrameRate, FrameSize, VideoInfo } from "../video.js";
import { emptyYuva } from "../yuv.js";
import { inputArguments, type MediaTool, startTool } from "./media-tool.js";
import { alongside, displayFilters, filterThreads, paddedSize, plausibleTimes } from "./read-video.js";

/** Formats of cut-outs: VP9 with alpha in WebM, ProRes 4444 in QuickTime. */
export const cutoutFormats = ["webm", "mov"] as const;

/** A format of cut-outs. */
export type CutoutFormat = (typeof cutoutFormats)[number];

/** A video to write. */
export interface LayeredVideo {
  /** File to write: `.mp4`; for a cut-out the format's extension. */
  readonly output: string;
  /** `cutout` leaves what sounds alone, on a transparent ground. */
  readonly look: Look | "cutout";
}

/** What an encoder writes. */
export interface OverlayEncoderOptions extends LayeredVideo, Cancellable {
  /** Size and number per second of the layers, from time zero on. */
  readonly layers: FrameSize & { readonly rate: FrameRate };
  /** Whether the frames come through `frames`. Otherwise the encoder decodes the file itself. */
  readonly copies: boolean;
}

/** File descriptors of the encoder's inputs. */
const frameInput = 0;
const layerInput = 3;

/** Alpha of a layer's pixels by how far inside the mask they lie: 128 is its edge, 255 its inside. */
const opaque = 255;
/** The fill of an opacity, and the outline along the edge, both with soft ends. */
function alpha(fill: number): string {
  const [outline, inside] = [Math.round(opaque * outlineOpacity), Math.round(opaque * fill)];
  const rise = `if(lt(val,138),(val-118)*${outline / 20}`;
  const fall = `if(lt(val,225),${outline}-(val-205)*${(outline - inside) / 20},${inside})`;
  return `if(lt(val,118),0,${rise},if(lt(val,205),${outline},${fall})))`;
}
/** Radius of the box that blurs as much as a standard deviation of 1. */
const boxRadius = Math.sqrt(3);
/** One inside, zero outside, with a soft edge. */
const inside = `clip((val-118)*12.75,0,${opaque})`;

/** Filters from `[main]` (4:2:0) and `[layers]` (4:2:0 with alpha) to `[out]`, for frames of a size. */
function lookGraph(look: Look | "cutout", { width, height }: FrameSize): string {
  const scaled = `scale=${width}:${height}:flags=fast_bilinear`;
  const over = "overlay=format=yuv420:eof_action=repeat[out]";
  const laid = (lut: string) => `[layers]${scaled},lutyuv=${lut}[layer];[main][layer]${over}`;
  /** The sharp, colored frame inside the mask over a changed one. */
  const overChanged = (change: string) =>
    `[main]split[kept][rest];[rest]${change}[changed];` +
    `[layers]alphaextract,${scaled},lut=y='${inside}'[mask];[kept][mask]alphamerge[layer];[changed][layer]${over}`;
  const { fill, shade, blur, brightness } = lookEffects();
  switch (look) {
    case "overlay":
      return laid(`a='${alpha(fill)}'`);
    case "outline":
      return laid(`a='${alpha(0)}'`);
    case "spotlight":
      return laid(`y=16:u=128:v=128:a='clip((138-val)*9,0,${Math.round(opaque * shade)})'`);
    case "blur":
      return overChanged(`avgblur=${Math.max(2, Math.round(boxRadius * blur * Math.max(width, height)))}`);
    case "gray":
      return overChanged(`lutyuv=y='16+(val-16)*${brightness}':u=128:v=128`);
    case "cutout":
      return `[layers]alphaextract,${scaled},lut=y='${inside}'[mask];[main][mask]alphamerge[out]`;
  }
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

let versionReport: Promise<string> | undefined;

/** What ffmpeg says of its version. */
async function askVersion(): Promise<string> {
  let report = "";
  for await (const piece of startTool("ffmpeg", ["-version"], { source: "ffmpeg" }).output()) {
    report += piece.toString();
  }
  return report;
}

/** Asks for ffmpeg's version ahead of the first encoder, which waits for it. */
export function prepareEncoders(): void {
  versionReport ??= askVersion();
  versionReport.catch(() => {
    versionReport = undefined; // thrown where it is awaited
  });
}

/** Keeps each frame's own time, without repeats to a constant rate; ffmpeg renamed the option in 5.1. */
async function keepTimestamps(): Promise<string[]> {
  prepareEncoders();
  const [, major, minor] = /version n?(\d+)\.(\d+)/.exec((await versionReport) ?? "") ?? [];
  const old = major !== undefined && Number(major) + Number(minor) / 10 < 5.05;
  return [old ? "-vsync" : "-fps_mode", "vfr"];
}

/** Encoders of sound and picture, and the container. */
interface Codecs {
  readonly codec: string;
  readonly video: readonly string[];
}

const mp4: Codecs = {
  codec: "aac",
  video: [
    ...["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"],
    ...["-video_track_timescale", "90000", "-movflags", "+faststart", "-f", "mp4"],
  ],
};

/** By extension. */
const codecs: Readonly<Record<string, Codecs>> = {
  mp4,
  webm: {
    codec: "libopus",
    video: [
      // Alpha and frames that are never shown exclude each other.
      ...["-c:v", "libvpx-vp9", "-auto-alt-ref", "0", "-crf", "30", "-b:v", "0", "-pix_fmt", "yuva420p"],
      ...["-deadline", "realtime", "-cpu-used", "6", "-row-mt", "1", "-f", "webm"],
    ],
  },
  mov: {
    codec: "aac",
    video: [
      ...["-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"],
      ...["-video_track_timescale", "90000", "-f", "mov"],
    ],
  },
};

function encoderArguments(
  info: VideoInfo,
  options: OverlayEncoderOptions,
  timestamps: readonly string[],
): string[] {
  const { layers, copies, look, output } = options;
  const rate = `${layers.rate.numerator}/${layers.rate.denominator}`;
  const track = info.audioTrack;
  // Timestamps of a NUT file count from its first frame, which the source may show late.
  const frames = copies
    ? [
        // Frames wait here until their layers come; how many is up to the reader.
        ...["-protocol_whitelist", "pipe", "-thread_queue_size", "8192"],
        ...["-f", "nut", "-itsoffset", String(info.startSeconds), "-i", `pipe:${frameInput}`],
      ]
    : inputArguments(info.path, info.slice);
  const main = copies
    ? "[0:v]null[main]"
    : `[0:${info.stream}]${[...plausibleTimes(info, "select"), ...displayFilters(info)].join(",")}[main]`;
  const soundInput = copies ? 2 : 0;
  const { codec, video } = codecs[/\.(webm|mov)$/.exec(output)?.[1] ?? "mp4"] ?? mp4;
  // A codec that plays from the container everywhere is copied as it is.
  const copied = track?.codec === (codec === "libopus" ? "opus" : codec) ? "copy" : codec;
  const sound = track ? ["-map", `${soundInput}:${track.stream}`, "-c:a", copied] : [];
  return [
    ...frames,
    ...["-protocol_whitelist", "pipe", "-f", "rawvideo", "-pix_fmt", "yuva420p"],
    // Opening an input takes a frame of it: one is there already, see `start`.
    ...["-probesize", "32", "-analyzeduration", "0"],
    ...["-video_size", `${layers.width}x${layers.height}`, "-framerate", rate, "-i", `pipe:${layerInput}`],
    ...(copies && track ? inputArguments(info.path, info.slice) : []),
    ...filterThreads(paddedSize(info)),
    "-filter_complex",
    // Without the one in front, and half a layer early, so that rounded timestamps never find the layer before theirs.
    `${main};[1:v]setpts=PTS-1.5/(${rate})/TB[layers];${lookGraph(look, paddedSize(info))}`,
    ...["-map", "[out]", ...sound],
    ...[...video, "-color_range", "tv"],
    ...colorTags(info),
    // A fine time base keeps the timestamps of variable frame rates.
    ...[...timestamps, "-enc_time_base:v", "1:90000", "-y", `file:${output}`],
    ...(copies && track ? alongside(info, info.stream, soundInput) : []),
  ];
}

/** Encodes a video with the source's frames, timestamps and sound, and layers over the frames. */
export class OverlayEncoder {
  readonly #tool: MediaTool;

  private constructor(tool: MediaTool) {
    this.#tool = tool;
  }

  /** Starts the encoder for a probed source. */
  static async start(info: VideoInfo, options: OverlayEncoderOptions): Promise<OverlayEncoder> {
    const { signal, output } = options;
    const timestamps = await keepTimestamps();
    const args = encoderArguments(info, options, timestamps);
    const tool = startTool("ffmpeg", args, { source: info.path, output, signal, pipes: ["reads"] });
    // ffmpeg opens all its inputs before it reads on from any. The reader fills the input of frames, which must not stop
    // it before the first real layer: that takes the reader's frames.
    tool.write(emptyYuva(options.layers).data, layerInput).catch(() => undefined);
    return new OverlayEncoder(tool);
  }

  /**
   * Writes one layer of even sides: planes of Y, U and V (4:2:0, limited range) and of straight alpha, which is 255 inside
   * of masks, 0 outside and 128 at their edge. Layers are stretched over the frame; the last one stays. False when the
   * encoder reads no further.
   */
  writeLayer(layer: Uint8Array): Promise<boolean> {
    return this.#tool.write(layer, layerInput);
  }

  /** Where the frames go, for `VideoReader`. */
  get frames(): Writable {
    return this.#tool.input(frameInput);
  }

  /** No more layers come. */
  endLayers(): void {
    this.#tool.endInput(layerInput);
  }

  /** Waits until the video is written. Throws why the encoder failed. */
  finish(): Promise<void> {
    return this.#tool.finished();
  }

  /** Stops the encoder and waits until it is gone. */
  stop(): Promise<void> {
    return this.#tool.stop();
  }
}
