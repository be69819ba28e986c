/** What sounds in pictures and samples in memory. */
import type { Predictor } from "../inference/predictor.js";
import { VGGISH_RATE_HZ } from "../media/log-mel.js";
import { resample } from "../media/resample.js";
import { type ImageTensor, imageSize, resizeBilinear } from "../media/resize.js";
import { fullStep, SAMPLES_PER_STEP, timed } from "../media/step-times.js";
import type { StepFrame } from "../media/video.js";
import { type Sound, toMono } from "../media/wav.js";
import { guideSize } from "./grid.js";
import {
  nextTask,
  type SegmentedFrame,
  type SegmentOptions,
  type StepStream,
  segmentStream,
} from "./step-stream.js";

/** Pictures and sound in memory. */
export interface FramesInput {
  /**
   * Pictures, `u8[H,W,3]` RGB or `u8[H,W,4]` RGBA (alpha is ignored), all of one size: `rate` per second (option, default 1).
   * AVSBench takes the last picture of each second.
   */
  readonly frames: Iterable<ImageTensor> | AsyncIterable<ImageTensor>;
  /** Sound from the first picture's second on; without it the sound is silent. */
  readonly audio?: Sound | undefined;
}

/** Drops the alpha channel. Throws `TypeError` for anything but RGB and RGBA; `what` names the picture. */
export function rgbOf(image: ImageTensor, what = "picture"): ImageTensor {
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

/**
 * Segments pictures in memory. Throws `TypeError` or `RangeError` for pictures of another form or of different sizes,
 * and the signal's reason when aborted.
 *
 * @example
 * for await (const { mask } of segmentFrames({ frames: pictures, audio: { sampleRateHz: 44100, channels } }, model)) {
 *   console.log(mask.regions.map(({ label, area }) => `${label}: ${area} pixels`));
 * }
 */
export async function* segmentFrames(
  { frames, audio }: FramesInput,
  model: Predictor,
  options: SegmentOptions = {},
): AsyncGenerator<SegmentedFrame, void, undefined> {
  const { rate = 1, refine = true } = options;
  let size = { width: 0, height: 0 };
  let index = 0;
  async function* images(): AsyncGenerator<Pick<StepFrame, "rgb" | "guide">, void, undefined> {
    for await (const image of frames) {
      const { width, height } = imageSize(image);
      if (index === 0) size = { width, height };
      if (width !== size.width || height !== size.height) {
        throw new RangeError(`frames[${index}]: ${width}x${height}, expected ${size.width}x${size.height}`);
      }
      const rgb = rgbOf(image, `frames[${index}]`);
      const scaled = resizeBilinear(rgb, model.imageSize, model.imageSize);
      const guide = guideSize(size, model);
      yield {
        rgb: scaled.data,
        guide: refine ? resizeBilinear(rgb, guide.height, guide.width) : undefined,
      };
      index++;
      await nextTask();
    }
  }
  async function* steps(): AsyncGenerator<StepFrame, void, undefined> {
    const samples = async () => Math.floor(fullStep(index - 1, rate).timeSeconds * SAMPLES_PER_STEP) + 1;
    for await (const [time, frame] of timed(images(), { rate, samples })) yield { ...time, ...frame };
  }
  async function* sound(): AsyncGenerator<Float32Array<ArrayBuffer>, void, undefined> {
    if (audio) yield Float32Array.from(resample(toMono(audio), audio.sampleRateHz, VGGISH_RATE_HZ));
  }
  const [stepFrames, samples] = [steps(), sound()];
  const stream: StepStream = {
    frames: stepFrames,
    sound: samples,
    size: () => size,
    totalSeconds: undefined,
    close: async () => {
      await Promise.allSettled([stepFrames.return(), samples.return()]);
    },
  };
  yield* segmentStream(stream, model, options);
}
