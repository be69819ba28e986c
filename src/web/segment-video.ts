/**
 * What sounds in a video file, in a browser: decoded by WebCodecs through `mediabunny`, at the times and with the
 * filters of ffmpeg in Node. Needs the package `mediabunny` beside avseg.
 */
import type { Input, InputAudioTrack, InputVideoTrack } from "mediabunny";
import { MediaError } from "../errors.js";
import type { Predictor } from "../inference/predictor.js";
import { VGGISH_RATE_HZ } from "../media/log-mel.js";
import { monoOf } from "../media/mono.js";
import { resampleStream } from "../media/resample-stream.js";
import type { ImageTensor } from "../media/resize.js";
import { checkRate, stepTimes } from "../media/step-times.js";
import {
  type FrameSize,
  type PictureFrame,
  type StepFrame,
  sliceSeconds,
  type VideoSlice,
} from "../media/video.js";
import { guideSize } from "../segment/grid.js";
import {
  type PictureStream,
  type SegmentedFrame,
  type SegmentOptions,
  type SegmentVideoOptions,
  type StepStream,
  segmentStream,
} from "../segment/step-stream.js";
import { framePictures } from "./frame-picture.js";
import { type TimeOffsets, timeOffsets } from "./time-zero.js";
import { blobOf, nameOf, type WebFile } from "./web-file.js";

/** Silence goes before sound that starts later than this, and into gaps, or out of overlaps, longer than that. */
const startToleranceSeconds = 0.001;
const gapToleranceSeconds = 0.1;
/** Sound is decoded from so long before the part that is segmented. */
const leadSeconds = 0.5;

const unplayable = "Check that it plays; if not, convert it to MP4 (H.264 and AAC).";

/**
 * Segments a video file at its displayed size. Default: one frame per second. Throws `MediaError` when it cannot be
 * fetched, is not a video or the browser cannot decode it, and the signal's reason when aborted.
 *
 * @example
 * for await (const { timeSeconds, mask } of segmentVideo("/clips/dog.mp4", model)) draw(timeSeconds, paintMask(mask));
 */
export async function* segmentVideo(
  file: WebFile,
  model: Predictor,
  options: SegmentVideoOptions = {},
): AsyncGenerator<SegmentedFrame, void, undefined> {
  const { ALL_FORMATS, BlobSource, HLS, Input } = await import("mediabunny");
  const { signal, rate = 1, slice } = options;
  checkRate(rate);
  const name = nameOf(file, "video");
  const blob = await blobOf(file, MediaError, { signal });
  // Playlists name other files.
  const formats = ALL_FORMATS.filter((format) => format !== HLS);
  const input = new Input({ source: new BlobSource(blob), formats });
  try {
    const whole = await open(input, blob, name).catch((cause: unknown) => {
      throw asMediaError(cause, name, signal);
    });
    signal?.throwIfAborted();
    const opened = slice ? await partOf(whole, slice) : whole;
    const reading = { ...options, imageSize: model.imageSize };
    const frames = readable(framesOf(opened, reading), name, signal);
    const sound = readable(soundOf(opened), name, signal);
    const pictures = options.everyFrame ? await picturesOf(opened, reading, name) : undefined;
    const stream: StepStream = {
      frames,
      sound,
      pictures,
      size: () => opened.size,
      offsetSeconds: slice?.startSeconds,
      totalSeconds: opened.durationSeconds,
      close: async () => {
        await Promise.allSettled([frames.return(), sound.return(), pictures?.frames.return()]);
      },
    };
    yield* segmentStream(stream, model, options);
  } finally {
    input.dispose();
  }
}

/** An error of mediabunny or of a decoder as a `MediaError`. Errors of avseg and the signal's reason stay as they are. */
function asMediaError(cause: unknown, name: string, signal: AbortSignal | undefined): unknown {
  if (cause instanceof MediaError || signal?.aborted) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MediaError(`${name}: the browser cannot decode it: ${reason}`, { cause, hint: unplayable });
}

/** The items of `source`; its errors become `MediaError`s. */
async function* readable<T>(
  source: AsyncGenerator<T, void, undefined>,
  name: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  try {
    yield* source;
  } catch (cause) {
    throw asMediaError(cause, name, signal);
  }
}

interface OpenedVideo {
  readonly name: string;
  readonly video: InputVideoTrack;
  readonly audio: InputAudioTrack | null;
  readonly offsets: TimeOffsets;
  /** The track's own time from which its sound is decoded. Default: its start. */
  readonly soundFrom?: number | undefined;
  /** When the last frame ends. */
  readonly durationSeconds: number;
  /** Displayed size in square pixels. */
  readonly size: { readonly width: number; readonly height: number };
}

async function open(input: Input, blob: Blob, name: string): Promise<OpenedVideo> {
  const video = await input.getPrimaryVideoTrack().catch((cause: unknown) => {
    throw new MediaError(`${name}: not a video that browsers read, or a damaged one`, {
      cause,
      hint: unplayable,
    });
  });
  const audio = await input.getPrimaryAudioTrack();
  if (!video) {
    const what = audio ? "a sound file: it has no picture" : "it has neither picture nor sound";
    throw new MediaError(`${name}: ${what}`, { hint: "Give a video file." });
  }
  for (const track of [video, audio]) {
    if (track === null || (await track.canDecode())) continue;
    throw new MediaError(
      `${name}: this browser cannot decode its ${track.type} (${(await track.getCodec()) ?? "unknown"})`,
      { hint: "Convert it to MP4 (H.264 and AAC)." },
    );
  }
  const offsets = await timeOffsets(input, blob, { video, audio });
  return {
    name,
    video,
    audio,
    offsets,
    durationSeconds: (await video.computeDuration()) + offsets.video,
    size: { width: await video.getDisplayWidth(), height: await video.getDisplayHeight() },
  };
}

/** A part of a video; its times count from the part's start. Throws as `sliceSeconds` does. */
async function partOf(opened: OpenedVideo, slice: VideoSlice): Promise<OpenedVideo> {
  const { EncodedPacketSink } = await import("mediabunny");
  const { startSeconds } = slice;
  const { video, audio } = opened.offsets;
  const seconds = sliceSeconds(slice, opened) ?? opened.durationSeconds;
  // As in Node, the last frame that begins within the part is shown to its end.
  const before = startSeconds + seconds - video - 1e-6;
  const last = await new EncodedPacketSink(opened.video).getPacket(before, { metadataOnly: true });
  return {
    ...opened,
    durationSeconds: last ? last.timestamp + last.duration + video - startSeconds : seconds,
    offsets: { video: video - startSeconds, audio: audio - startSeconds },
    // Decoders need what comes a little earlier.
    soundFrom: startSeconds - audio - leadSeconds,
  };
}

/** How frames are read. */
interface Reading extends SegmentOptions {
  /** Side of the model's frames in pixels. */
  readonly imageSize: number;
}

/** The frames at the given times, each the last one at or before its time, at some sizes. */
async function* framesAt(
  { video, offsets }: OpenedVideo,
  times: readonly number[],
  sizes: readonly FrameSize[],
  signal: AbortSignal | undefined,
): AsyncGenerator<ImageTensor[], void, undefined> {
  const { VideoSampleSink } = await import("mediabunny");
  const first = await video.getFirstTimestamp();
  // A video that starts late shows its first frame until then.
  const sought = times.map((time) => Math.max(time - offsets.video, first));
  const { matrix } = await video.getColorSpace();
  for await (const sample of new VideoSampleSink(video).samplesAtTimestamps(sought)) {
    if (!sample) return; // a truncated file ends here
    try {
      signal?.throwIfAborted();
      yield await framePictures(sample, matrix ?? undefined, sizes);
    } finally {
      sample.close();
    }
  }
}

/** The frame of every step. */
async function* framesOf(
  opened: OpenedVideo,
  { imageSize, rate, refine = true, signal }: Reading,
): AsyncGenerator<StepFrame, void, undefined> {
  const times = stepTimes(opened.durationSeconds, rate);
  const guide = guideSize(opened.size, { imageSize });
  const sizes = [{ width: imageSize, height: imageSize }, ...(refine ? [guide] : [])];
  let index = 0;
  const seconds = times.map(({ timeSeconds }) => timeSeconds);
  for await (const [frame, larger] of framesAt(opened, seconds, sizes, signal)) {
    const time = times[index++];
    if (frame && time) yield { ...time, rgb: frame.data, guide: larger };
  }
  if (index === 0) {
    throw new MediaError(`${opened.name}: not one frame could be decoded`, { hint: unplayable });
  }
}

/** Pictures at the video's average rate. */
async function picturesOf(opened: OpenedVideo, reading: Reading, name: string): Promise<PictureStream> {
  const { signal } = reading;
  const { averagePacketRate } = await opened.video.computePacketStats(100);
  const perSecond = Math.min(60, Math.max(5, averagePacketRate));
  const count = Math.max(1, Math.ceil(opened.durationSeconds * perSecond - 1e-6));
  const times = Array.from({ length: count }, (_, i) => i / perSecond);
  const guide = guideSize(opened.size, reading);
  async function* pictures(): AsyncGenerator<PictureFrame, void, undefined> {
    let index = 0;
    for await (const [image] of framesAt(opened, times, [guide], signal)) {
      const timeSeconds = times[index++];
      if (image && timeSeconds !== undefined) yield { timeSeconds, image };
    }
  }
  return {
    rate: { numerator: perSecond, denominator: 1 },
    frames: readable(pictures(), name, signal),
  };
}

/** 16 kHz mono (mean of channels) from time zero; gaps are silent, what lies before zero is dropped. */
async function* soundOf({
  audio,
  offsets,
  soundFrom,
}: OpenedVideo): AsyncGenerator<Float32Array, void, undefined> {
  if (!audio) return;
  const sampleRateHz = await audio.getSampleRate();
  const pieces = monoPieces(audio, { sampleRateHz, offset: offsets.audio, from: soundFrom });
  yield* resampleStream(pieces, sampleRateHz, VGGISH_RATE_HZ);
}

async function* monoPieces(
  track: InputAudioTrack,
  {
    sampleRateHz,
    offset,
    from,
  }: { readonly sampleRateHz: number; readonly offset: number; readonly from: number | undefined },
): AsyncGenerator<Float32Array, void, undefined> {
  const { AudioSampleSink } = await import("mediabunny");
  let at = 0;
  for await (const sample of new AudioSampleSink(track).samples(from)) {
    const { timestamp } = sample;
    const mono = monoOf(sample);
    sample.close();
    const start = Math.round((timestamp + offset) * sampleRateHz);
    if (start - at > sampleRateHz * (at === 0 ? startToleranceSeconds : gapToleranceSeconds)) {
      for (; at < start; at = Math.min(at + sampleRateHz, start)) {
        yield new Float32Array(Math.min(sampleRateHz, start - at));
      }
    }
    const overlaps = at - start > (at === 0 ? 0 : sampleRateHz * gapToleranceSeconds);
    const late = overlaps ? Math.min(mono.length, at - start) : 0;
    if (late < mono.length) yield mono.subarray(late);
    at += mono.length - late;
  }
}
