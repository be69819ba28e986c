/** What sounds, frame by frame, as a stream: from a video, or from pixels and samples in memory. */

import type { Predictor } from "../inference/predictor.js";
import { VGGISH_RATE_HZ } from "../media/log-mel.js";
import { resample } from "../media/resample.js";
import { type Image, imageSize, resizeBilinear } from "../media/resize.js";
import type { StepFrame } from "../media/video.js";
import { type Audio, toMono } from "../media/wav.js";
import { type Mask, maskOf } from "./mask.js";
import { predictSteps } from "./predict-steps.js";
import type { ProbabilityMap } from "./probability-map.js";

/** What the model says of one second. */
export interface SegmentedFrame {
  /** The step covers `[index, index + 1)` seconds. */
  readonly index: number;
  /** When the frame that was looked at is on screen. */
  readonly timeSeconds: number;
  /** The mask at the source's displayed size, and the regions in it. */
  readonly mask: Mask;
  /** Probabilities at the model's resolution; `enlarge` and `interpolate` bring them to other sizes and times. */
  readonly map: ProbabilityMap;
  /** Loudest sample of the sound heard with it, 0 to 1; 0 is digital silence. */
  readonly peak: number;
}

/** Options of the segmenting functions. */
export interface SegmentFramesOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after every frame. */
  readonly onProgress?:
    | ((progress: {
        readonly doneSeconds: number;
        /** `undefined` where the source does not announce its length. */
        readonly totalSeconds: number | undefined;
      }) => void)
    | undefined;
}

/** Pictures and sound in memory. */
export interface FramesInput {
  /**
   * One picture per second, `u8[H,W,3]` RGB or `u8[H,W,4]` RGBA (alpha is ignored), all of one size. AVSBench takes
   * the last picture of each second.
   */
  readonly frames: Iterable<Image> | AsyncIterable<Image>;
  /** Sound from the first picture's second on; without it the model hears silence. */
  readonly audio?: Audio | undefined;
}

/** Drops the alpha channel. Throws `TypeError` for anything but RGB and RGBA; `what` names the picture. */
export function rgbOf(image: Image, what = "picture"): Image {
  const { height, width, channels } = imageSize(image);
  if (channels === 3) return image;
  if (channels !== 4) {
    throw new TypeError(`${what}: expected u8[H,W,3] or u8[H,W,4], got u8[${image.shape.join(",")}]`);
  }
  const rgb = new Uint8Array(height * width * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = image.data[from]!;
    rgb[to + 1] = image.data[from + 1]!;
    rgb[to + 2] = image.data[from + 2]!;
  }
  return { dtype: "u8", shape: [height, width, 3], data: rgb };
}

/** Gives the thread back for a moment: a page draws and a server answers between two steps. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    // Not a timer: browsers slow those down where a page is in the background.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Frames and sound on their way to the model, whatever decodes them. */
export interface StepStream {
  /** The frame of every second, scaled to the model's size. */
  readonly frames: AsyncGenerator<StepFrame, void, undefined>;
  /** 16 kHz mono from time zero. */
  readonly sound: AsyncGenerator<Float32Array, void, undefined>;
  /** Size of the masks, in pixels; asked for after the first frame. */
  readonly size: () => { readonly width: number; readonly height: number };
  readonly totalSeconds?: number | undefined;
}

/** Segments a stream and ends it, also when the caller stops early. Throws the signal's reason when aborted. */
export async function* segmentStream(
  { frames, sound, size, totalSeconds }: StepStream,
  model: Predictor,
  { signal, onProgress }: SegmentFramesOptions = {},
): AsyncGenerator<SegmentedFrame, void, undefined> {
  try {
    for await (const step of predictSteps(model, frames, sound, signal ? { signal } : {})) {
      const { index, timeSeconds, coveredSeconds, map, peak } = step;
      const { width, height } = size();
      yield { index, timeSeconds, mask: maskOf(map, width, height), map, peak };
      onProgress?.({ doneSeconds: index + coveredSeconds, totalSeconds });
      await nextTask();
    }
  } finally {
    await Promise.allSettled([frames.return(), sound.return()]);
  }
}

/**
 * Segments pictures in memory. Throws `TypeError` or `RangeError` for pictures of another form or of different sizes,
 * and the signal's reason when aborted.
 */
export async function* segmentFrames(
  { frames, audio }: FramesInput,
  model: Predictor,
  options: SegmentFramesOptions = {},
): AsyncGenerator<SegmentedFrame, void, undefined> {
  let size = { width: 0, height: 0 };
  async function* steps(): AsyncGenerator<StepFrame, void, undefined> {
    let index = 0;
    for await (const image of frames) {
      const { width, height } = imageSize(image);
      if (index === 0) size = { width, height };
      if (width !== size.width || height !== size.height) {
        throw new RangeError(`frames[${index}]: ${width}x${height}, expected ${size.width}x${size.height}`);
      }
      const scaled = resizeBilinear(rgbOf(image, `frames[${index}]`), model.imageSize, model.imageSize);
      yield { index, timeSeconds: index + 15 / 16, coveredSeconds: 1, rgb: scaled.data };
      index++;
      await nextTask();
    }
  }
  async function* sound(): AsyncGenerator<Float32Array<ArrayBuffer>, void, undefined> {
    if (audio) yield Float32Array.from(resample(toMono(audio), audio.sampleRateHz, VGGISH_RATE_HZ));
  }
  yield* segmentStream({ frames: steps(), sound: sound(), size: () => size }, model, options);
}
