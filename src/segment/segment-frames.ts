/** What sounds in pictures and samples in memory. */
import type { Predictor } from "../inference/predictor.js";
import { VGGISH_RATE_HZ } from "../media/log-mel.js";
import { resample } from "../media/resample.js";
import { type ImageTensor, imageSize, resizeBilinear } from "../media/resize.js";
import { fullStep } from "../media/step-times.js";
import type { StepFrame } from "../media/video.js";
import { type Sound, toMono } from "../media/wav.js";
import { nextTask, type SegmentedFrame, type SegmentOptions, segmentStream } from "./step-stream.js";

/** Pictures and sound in memory. */
export interface FramesInput {
  /**
   * One picture per second, `u8[H,W,3]` RGB or `u8[H,W,4]` RGBA (alpha is ignored), all of one size. AVSBench takes
   * the last picture of each second.
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
 */
export async function* segmentFrames(
  { frames, audio }: FramesInput,
  model: Predictor,
  options: SegmentOptions = {},
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
      yield { ...fullStep(index), rgb: scaled.data };
      index++;
      await nextTask();
    }
  }
  async function* sound(): AsyncGenerator<Float32Array<ArrayBuffer>, void, undefined> {
    if (audio) yield Float32Array.from(resample(toMono(audio), audio.sampleRateHz, VGGISH_RATE_HZ));
  }
  const stream = { frames: steps(), sound: sound(), size: () => size, totalSeconds: undefined };
  yield* segmentStream(stream, model, options);
}
