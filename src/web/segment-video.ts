/**
 * What sounds in a video file, in a browser: decoded by WebCodecs through `mediabunny`, whose timing is the same as
 * ffmpeg's in Node. Needs the package `mediabunny` beside avseg.
 */
import type { Input, InputAudioTrack, InputVideoTrack, VideoSample } from "mediabunny";
import { MediaError } from "../errors.js";
import { VGGISH_RATE_HZ } from "../media/log-mel.js";
import { resampleStream } from "../media/resample-stream.js";
import { resizeBilinear } from "../media/resize.js";
import type { StepFrame } from "../media/video.js";
import type { Predictor } from "../models/predictor.js";
import {
  rgbOf,
  type SegmentedFrame,
  type SegmentFramesOptions,
  segmentStream,
} from "../segment/segment-frames.js";
import { blobOf, nameOf, type WebFile } from "./weight-files.js";

/** Samples per second from which a step's frame is chosen: the last one (as published). */
const SAMPLES_PER_STEP = 16;
/** A last second of which the video covers less than this is no step of its own. */
const FEWEST_SAMPLES = 4;

/**
 * Segments a video file, one frame per second, at its displayed size. Throws `MediaError` when it is no video or the
 * browser cannot decode it, `CheckpointError` when it cannot be fetched, and the signal's reason when aborted.
 */
export async function* segmentVideo(
  file: WebFile,
  model: Predictor,
  options: SegmentFramesOptions = {},
): AsyncGenerator<SegmentedFrame, void, undefined> {
  const { ALL_FORMATS, BlobSource, Input } = await import("mediabunny");
  const name = nameOf(file, "video");
  const blob = await blobOf(file, options.signal ? { signal: options.signal } : {});
  const input = new Input({ source: new BlobSource(blob), formats: ALL_FORMATS });
  try {
    const opened = await open(input, name);
    const stream = {
      frames: framesOf(opened, model.imageSize),
      sound: soundOf(opened.audio),
      size: () => opened.size,
      totalSeconds: opened.durationSeconds,
    };
    yield* segmentStream(stream, model, options);
  } finally {
    input.dispose();
  }
}

interface OpenedVideo {
  readonly video: InputVideoTrack;
  readonly audio: InputAudioTrack | null;
  readonly durationSeconds: number;
  /** Displayed size in square pixels. */
  readonly size: { readonly width: number; readonly height: number };
}

async function open(input: Input, name: string): Promise<OpenedVideo> {
  const video = await input.getPrimaryVideoTrack().catch((cause: unknown) => {
    throw new MediaError(`${name}: not a video that browsers read, or a damaged one`, {
      cause,
      hint: "Check that it plays; if not, convert it to MP4 (H.264 and AAC).",
    });
  });
  if (!video) throw new MediaError(`${name}: it has no video track`);
  const audio = await input.getPrimaryAudioTrack();
  for (const track of [video, audio]) {
    if (track === null || (await track.canDecode())) continue;
    throw new MediaError(
      `${name}: this browser cannot decode its ${track.type} (${(await track.getCodec()) ?? "unknown"})`,
      {
        hint: "Convert it to MP4 (H.264 and AAC).",
      },
    );
  }
  const size = { width: await video.getDisplayWidth(), height: await video.getDisplayHeight() };
  return { video, audio, durationSeconds: await video.computeDuration(), size };
}

/** The frame of every second: the last of sixteen samples, each the last frame at or before its time. */
async function* framesOf(
  { video, durationSeconds, size }: OpenedVideo,
  side: number,
): AsyncGenerator<StepFrame, void, undefined> {
  const { VideoSampleSink } = await import("mediabunny");
  const samples = Math.max(1, Math.ceil(durationSeconds * SAMPLES_PER_STEP - 1e-6));
  const times: number[] = [];
  for (let start = 0; start < samples; start += SAMPLES_PER_STEP) {
    const covered = Math.min(SAMPLES_PER_STEP, samples - start);
    if (covered >= FEWEST_SAMPLES || start === 0) times.push((start + covered - 1) / SAMPLES_PER_STEP);
  }
  const first = await video.getFirstTimestamp();
  // A video that starts late shows its first frame until then.
  const sought = times.map((time) => Math.max(time, first));
  const canvas = new OffscreenCanvas(size.width, size.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new MediaError("the browser gives no canvas to draw frames on");
  const untagged = !(await video.getColorSpace()).matrix;
  let index = 0;
  for await (const sample of new VideoSampleSink(video).samplesAtTimestamps(sought)) {
    if (!sample) return; // a truncated file ends here
    const shown = untagged ? await withMatrix(sample) : sample;
    shown.draw(context, 0, 0, canvas.width, canvas.height);
    shown.close();
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const image = rgbOf({
      dtype: "u8",
      shape: [canvas.height, canvas.width, 4],
      data: new Uint8Array(data.buffer, data.byteOffset, data.length),
    });
    const timeSeconds = times[index] ?? 0;
    const coveredSeconds = timeSeconds + 1 / SAMPLES_PER_STEP - index;
    yield { index, timeSeconds, coveredSeconds, rgb: resizeBilinear(image, side, side).data };
    index++;
  }
}

/**
 * The sample with the YUV matrix that ffmpeg takes where a file names none, BT.601; browsers take BT.709 there. The
 * sample given is closed.
 */
async function withMatrix(sample: VideoSample): Promise<VideoSample> {
  const { VideoSample: Sample } = await import("mediabunny");
  const frame = sample.toVideoFrame();
  try {
    const { format, codedWidth, codedHeight, timestamp, displayWidth, displayHeight, visibleRect } = frame;
    if (format === null || /^(RGB|BGR)/.test(format)) return sample.clone();
    const { width = codedWidth, height = codedHeight } = visibleRect ?? {};
    const data = new Uint8Array(frame.allocationSize());
    const layout = await frame.copyTo(data);
    const colorSpace = { ...frame.colorSpace.toJSON(), matrix: "smpte170m" as const };
    const size = { codedWidth: width, codedHeight: height, displayWidth, displayHeight };
    const tagged = new VideoFrame(data, { format, timestamp, layout, colorSpace, ...size });
    return new Sample(tagged, { rotation: sample.rotation, timestamp: sample.timestamp });
  } finally {
    frame.close();
    sample.close();
  }
}

/** 16 kHz mono (mean of channels) from time zero; gaps are silent, what lies before zero is dropped. */
async function* soundOf(track: InputAudioTrack | null): AsyncGenerator<Float32Array, void, undefined> {
  if (!track) return;
  const sampleRateHz = await track.getSampleRate();
  yield* resampleStream(monoPieces(track, sampleRateHz), sampleRateHz, VGGISH_RATE_HZ);
}

async function* monoPieces(
  track: InputAudioTrack,
  sampleRateHz: number,
): AsyncGenerator<Float32Array, void, undefined> {
  const { AudioSampleSink } = await import("mediabunny");
  let at = 0;
  for await (const sample of new AudioSampleSink(track).samples()) {
    const { numberOfFrames, numberOfChannels, timestamp } = sample;
    const mono = new Float32Array(numberOfFrames);
    const plane = new Float32Array(numberOfFrames);
    for (let c = 0; c < numberOfChannels; c++) {
      sample.copyTo(plane, { planeIndex: c, format: "f32-planar" });
      for (let i = 0; i < mono.length; i++) mono[i]! += plane[i]! / numberOfChannels;
    }
    sample.close();
    const start = Math.round(timestamp * sampleRateHz);
    // Timestamps are rounded to microseconds or coarser: less than a hundredth of a second is no gap.
    const gap = start - at;
    if (gap > sampleRateHz / 100) {
      yield new Float32Array(gap);
      at = start;
    }
    const late = gap < -sampleRateHz / 100 || start < 0 ? Math.min(mono.length, at - start) : 0;
    if (late < mono.length) yield mono.subarray(late);
    at += mono.length - late;
  }
}
