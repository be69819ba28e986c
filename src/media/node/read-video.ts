/** Frames and sound of video files in Node, by the system's ffmpeg. */

import type { Writable } from "node:stream";
import type { ImageTensor } from "../resize.js";
import { firstStepSeconds, SAMPLES_PER_STEP, timed } from "../step-times.js";
import type { Cancellable, FrameRate, FrameSize, PictureFrame, StepFrame, VideoInfo } from "../video.js";
import { inputArguments, type MediaTool, startTool } from "./media-tool.js";

/** For frames that a model sees: exact, and several times slower than plain bilinear. */
const modelFlags = "bilinear+accurate_rnd+full_chroma_inp+full_chroma_int";

/**
 * Lets ffmpeg read a stream along and drop it. In MPEG streams its clock starts with the first stream that it reads:
 * picture and sound, read apart, would lose each other.
 */
export function alongside({ container }: VideoInfo, stream: number | undefined, input = 0): string[] {
  if (stream === undefined || !container.startsWith("mpeg")) return [];
  return ["-map", `${input}:${stream}`, "-c", "copy", "-f", "null", "-"];
}

/** Frames of up to so many pixels are filtered by one thread. */
const MAX_PIXELS_OF_ONE_THREAD = 2 ** 19;

/** Filters in one thread where frames are small: to hand parts of them to others takes longer than to filter them. */
export function filterThreads({ width, height }: FrameSize): string[] {
  return width * height > MAX_PIXELS_OF_ONE_THREAD ? [] : ["-filter_complex_threads", "1"];
}

/** What a `VideoReader` gives. */
export interface ReadVideoOptions extends Cancellable {
  /** The frames of a model's steps. */
  readonly steps: FrameSize & {
    /** Steps per second. */
    readonly rate: number;
    /** Size of a second copy of each frame. */
    readonly guide?: FrameSize | undefined;
  };
  /** Pictures at a constant rate from time zero on. */
  readonly pictures?: (FrameSize & { readonly rate: FrameRate }) | undefined;
  /** Where the displayed frames go at full size with their timestamps, as a NUT file; the reader closes it. */
  readonly copiesTo?: Writable | undefined;
}

/** The displayed frames with square pixels, in 4:2:0 of limited range, padded to even sizes by repeating the edge. */
export function displayFilters(info: VideoInfo): string[] {
  const [right, bottom] = [info.width % 2, info.height % 2];
  const filters: string[] = [];
  // Only where it changes something: even a copy costs as much as half of a decoder.
  if (info.pixelAspectRatio !== 1) filters.push(`scale=${info.width}:${info.height}`);
  if (info.color.range === "pc") filters.push("scale=out_range=tv");
  filters.push("setsar=1");
  if (right + bottom > 0) {
    // Subsampled chroma cannot end on half a pixel.
    filters.push("format=yuv444p", `pad=${info.width + right}:${info.height + bottom}`);
    filters.push(`fillborders=right=${right}:bottom=${bottom}:mode=smear`);
  }
  return [...filters, "format=yuv420p"];
}

/** Size of the displayed frames after `displayFilters`. */
export function paddedSize({ width, height }: VideoInfo): FrameSize {
  return { width: width + (width % 2), height: height + (height % 2) };
}

/** Where one output of the reading process goes. */
interface Output {
  readonly label: string;
  readonly args: readonly string[];
}

/**
 * Decodes a video once, for all that is made of its frames. The outputs are read together: while one of them is waited
 * for, the others are kept in memory.
 */
export class VideoReader {
  readonly #tool: MediaTool;
  readonly #options: ReadVideoOptions;
  /** File descriptors by output. */
  readonly #fds = new Map<string, number>();

  /** Starts ffmpeg on a probed file. Errors show when frames are read. */
  constructor(info: VideoInfo, options: ReadVideoOptions) {
    this.#options = options;
    const { steps, pictures, copiesTo } = options;
    const raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"];
    // Handed over in larger pieces than a frame: every piece costs memory and a turn of the event loop.
    const inPieces = ["-flush_packets", "0"];
    const outputs: Output[] = [
      { label: "steps", args: raw },
      ...(steps.guide ? [{ label: "guides", args: raw }] : []),
      { label: "clock", args: ["-f", "rawvideo", ...inPieces] },
      ...(pictures ? [{ label: "pictures", args: [...raw, ...inPieces] }] : []),
      ...(copiesTo
        ? [{ label: "copies", args: ["-c:v", "rawvideo", "-enc_time_base", "1:90000", "-f", "nut"] }]
        : []),
    ];
    outputs.forEach(({ label }, i) => {
      this.#fds.set(label, i === 0 ? 1 : i + 2);
    });
    const args = [
      ...inputArguments(info.path, info.slice),
      ...[...filterThreads(info), "-filter_complex", filterGraph(info, options)],
      ...outputs.flatMap(({ label, args: format }) => [
        ...["-map", `[${label}]`, ...format],
        `pipe:${this.#fds.get(label)}`,
      ]),
      ...alongside(info, info.audioTrack?.stream),
    ];
    const pipes = outputs.slice(1).map(({ label }) => (label === "copies" && copiesTo) || "writes");
    this.#tool = startTool("ffmpeg", args, { source: info.path, signal: options.signal, pipes });
  }

  /**
   * The frame of every step. Colors are converted with the matrix that the file names, or BT.601 where it names none.
   * Throws `MediaError` when the file cannot be decoded.
   */
  async *steps(): AsyncGenerator<StepFrame, void, undefined> {
    const { rate, guide, ...size } = this.#options.steps;
    const guides = guide && this.#images("guides", guide);
    const images = this.#images("steps", size);
    async function* frames(): AsyncGenerator<Pick<StepFrame, "rgb" | "guide">, void, undefined> {
      for await (const { data: rgb } of images)
        yield { rgb, guide: (await guides?.next())?.value ?? undefined };
    }
    // There is one frame more than full steps: the video's last one, for a step that the end may cut short.
    const samples = async () => {
      let count = 0;
      for await (const chunk of this.#output("clock")) count += chunk.length;
      return Math.max(1, count);
    };
    for await (const [time, frame] of timed(frames(), { rate, samples })) yield { ...time, ...frame };
  }

  /** The pictures, if the options have a size and a rate for them. */
  async *pictures(): AsyncGenerator<PictureFrame, void, undefined> {
    const { pictures } = this.#options;
    if (!pictures) return;
    const { rate } = pictures;
    let number = 0;
    const free: Uint8Array<ArrayBuffer>[] = [];
    for await (const image of this.#images("pictures", pictures, free)) {
      const timeSeconds = (number++ * rate.denominator) / rate.numerator;
      yield { timeSeconds, image, release: () => free.push(image.data) };
    }
  }

  /** Stops ffmpeg and waits until it is gone. */
  close(): Promise<void> {
    return this.#tool.stop();
  }

  #output(label: string): AsyncGenerator<Buffer, void, undefined> {
    return this.#tool.output(this.#fds.get(label));
  }

  /** The images of an output, in memory that `free` has, or else in new memory. */
  async *#images(
    label: string,
    { width, height }: FrameSize,
    free: Uint8Array<ArrayBuffer>[] = [],
  ): AsyncGenerator<ImageTensor, void, undefined> {
    const size = width * height * 3;
    const shape = [height, width, 3];
    let data = new Uint8Array(size);
    let filled = 0;
    for await (const chunk of this.#output(label)) {
      for (let at = 0; at < chunk.length; ) {
        const part = chunk.subarray(at, at + size - filled);
        data.set(part, filled);
        at += part.length;
        filled += part.length;
        if (filled < size) break;
        yield { dtype: "u8", shape, data };
        data = free.pop() ?? new Uint8Array(size);
        filled = 0;
      }
    }
  }
}

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));

/** The filters of a `VideoReader`, from the file's video stream to its labeled outputs. */
function filterGraph(info: VideoInfo, { steps, pictures, copiesTo }: ReadVideoOptions): string {
  const scale = ({ width, height }: FrameSize, flags = "bilinear") =>
    `scale=${width}:${height}:flags=${flags}`;
  const { rate, guide } = steps;
  // A grid that has all samples and all steps. `round=up` makes a sample the last frame at or before its time, at
  // constant and variable rates alike.
  const grid = (SAMPLES_PER_STEP * rate) / greatestDivisor(SAMPLES_PER_STEP, rate);
  const branches = ["grid", ...(pictures ? ["moving"] : []), ...(copiesTo ? ["full"] : [])];
  const chains = [
    `[0:${info.stream}]${[...plausibleTimes(info, "select"), `split=${branches.length}`].join(",")}` +
      branches.map((name) => `[${name}]`).join(""),
    `[grid]fps=${grid}:round=up:start_time=0,split[sampled][counted]`,
    // A pixel per sample tells how many there are.
    `[counted]fps=${SAMPLES_PER_STEP}:round=up:start_time=0,` +
      "crop=w='min(iw,2)':h='min(ih,2)':x=0:y=0:exact=1,scale=1:1,format=gray[clock]",
    // The last frame stays on for one step more, see `steps`.
    `[sampled]tpad=stop=${grid / rate}:stop_mode=clone,` +
      `fps=${rate}:round=up:start_time=${firstStepSeconds(rate)},setpts=N/(${rate}*TB)` +
      (guide ? "[stepped]" : `,${scale(steps, modelFlags)}[steps]`),
  ];
  if (guide)
    chains.push(`[stepped]split[s][g];[s]${scale(steps, modelFlags)}[steps];[g]${scale(guide)}[guides]`);
  if (pictures) {
    const { numerator, denominator } = pictures.rate;
    chains.push(`[moving]fps=${numerator}/${denominator}:round=up:start_time=0,${scale(pictures)}[pictures]`);
  }
  if (copiesTo) chains.push(`[full]${displayFilters(info).join(",")}[copies]`);
  return chains.join(";");
}

/** Longest gap between two timestamps, in seconds, that is believed beyond the end that the container announces. */
const MAX_GAP_SECONDS = 60;

/**
 * Filters that drop a damaged timestamp: one more than a minute after the one before it and after the announced end.
 * Without them, one wrong bit makes a clip of seconds last for hours. Slides with one frame every ten minutes pass,
 * because the announced length covers them; so does a concatenated stream that is longer than it announces. Of a slice,
 * nothing after its end passes.
 */
export function plausibleTimes(
  { durationSeconds, slice }: VideoInfo,
  select: "select" | "aselect",
): string[] {
  if (durationSeconds === undefined) return [];
  // The options of an input cut MPEG streams up to half a second late.
  if (slice) return [`${select === "select" ? "trim" : "atrim"}=end=${durationSeconds}`];
  const end = durationSeconds + MAX_GAP_SECONDS;
  return [`${select}='lte(t,${end})+isnan(prev_selected_t)+lte(t-prev_selected_t,${MAX_GAP_SECONDS})'`];
}

/** Options of `readFrames`. */
export interface ReadFramesOptions extends Cancellable {
  /** Size of the frames in pixels. Default: the displayed size. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}

/** The frame of every one-second step, as `VideoReader` gives them, in bounded memory. */
export async function* readFrames(
  info: VideoInfo,
  { width = info.width, height = info.height, signal }: ReadFramesOptions = {},
): AsyncGenerator<StepFrame, void, undefined> {
  const reader = new VideoReader(info, { steps: { width, height, rate: 1 }, signal });
  try {
    yield* reader.steps();
  } finally {
    await reader.close();
  }
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
  // `first_pts=0` and `async=1` put every sample at its time: silence fills gaps, samples before zero are cut.
  const filters = [
    ...plausibleTimes(info, "aselect"),
    `pan=mono|c0=${mean}`,
    `aresample=${sampleRateHz}:async=1:first_pts=0`,
  ];
  const args = [
    ...inputArguments(info.path, info.slice),
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
