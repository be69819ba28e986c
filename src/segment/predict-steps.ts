/** A stream of frames and a stream of sound in, probabilities of every step out, in bounded memory. */
import { readAhead } from "../bounded-queue.js";
import type { Predictor } from "../inference/predictor.js";
import { VGGISH_RATE_HZ } from "../media/log-mel.js";
import type { ImageTensor } from "../media/resize.js";
import { soundInputs } from "../media/sound-inputs.js";
import type { StepTime } from "../media/step-times.js";
import type { StepFrame } from "../media/video.js";
import { type ProbabilityMap, probabilitiesOf } from "./probability-map.js";
import { SampleBuffer } from "./sample-buffer.js";

/** What the model predicts for one step. */
export interface Step extends StepTime {
  /** Largest magnitude of the step's sound, 0 to 1; 0 is digital silence. */
  readonly peak: number;
  readonly probabilities: ProbabilityMap;
  /** The step's frame at a larger size than the model's, where the source has one. */
  readonly guide: ImageTensor | undefined;
}

/** What `predictSteps` reads. */
export interface StepSource {
  /** Frames at the predictor's size, in the order of their times. */
  readonly frames: AsyncIterator<StepFrame, void, undefined>;
  /** 16 kHz mono from time zero on. */
  readonly sound: AsyncIterator<Float32Array, void, undefined>;
  /** Steps per second. Default: 1. */
  readonly rate?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A frame and its second of sound. */
interface SoundingFrame {
  readonly frame: StepFrame;
  readonly sound: Float32Array<ArrayBuffer>;
}

/**
 * Runs `predictor` over windows of its T steps, one second apart. At `rate` steps per second there are `rate` series of
 * windows, shifted by 1 / `rate`, so that every step is predicted as at one step per second. The sound of a window, which
 * is that of its steps one after another, becomes T examples exactly as a training clip's does. The last window of a
 * series repeats its last frame up to T, flagged as padding; padding is not yielded. While steps
 * are used, those of the next windows are predicted, and the frames after them are read.
 */
export async function* predictSteps(
  predictor: Predictor,
  { frames, sound, rate = 1, signal }: StepSource,
): AsyncGenerator<Step, void, undefined> {
  const blocks = readAhead(blocksOf(attachSound(frames, sound), predictor.frameCount * rate));
  async function* predicted(): AsyncGenerator<Step[], void, undefined> {
    for await (const block of blocks) {
      const steps: Step[] = [];
      for (let series = 0; series < Math.min(rate, block.length); series++) {
        signal?.throwIfAborted();
        const window = block.filter((_, i) => i % rate === series);
        steps.push(...(await predictWindow(predictor, window)));
      }
      yield steps.sort((a, b) => a.index - b.index);
    }
  }
  for await (const steps of readAhead(predicted())) {
    for (const step of steps) {
      signal?.throwIfAborted();
      yield step;
    }
  }
}

/** Joins every frame with its second of sound. */
async function* attachSound(
  frames: AsyncIterator<StepFrame, void, undefined>,
  sound: AsyncIterator<Float32Array, void, undefined>,
): AsyncGenerator<SoundingFrame, void, undefined> {
  const samples = new SampleBuffer(sound);
  for (let next = await frames.next(); !next.done; next = await frames.next()) {
    const frame = next.value;
    const start = Math.round(frame.startSeconds * VGGISH_RATE_HZ);
    const count = Math.round(frame.coveredSeconds * VGGISH_RATE_HZ);
    yield { frame, sound: await samples.read(start, count) };
  }
}

/** Items in groups of `size`; the last one may be smaller. */
async function* blocksOf<T>(source: AsyncIterable<T>, size: number): AsyncGenerator<T[], void, undefined> {
  let block: T[] = [];
  for await (const item of source) {
    block.push(item);
    if (block.length < size) continue;
    yield block;
    block = [];
  }
  if (block.length > 0) yield block;
}

/** Runs the model on one window of one to T steps. */
async function predictWindow(predictor: Predictor, window: readonly SoundingFrame[]): Promise<Step[]> {
  const { frameCount, imageSize, soundForm } = predictor;
  const frameBytes = imageSize * imageSize * 3;
  const pixels = new Uint8Array(frameCount * frameBytes);
  const frameMask = new Float32Array(frameCount);
  for (let k = 0; k < frameCount; k++) {
    pixels.set(window[Math.min(k, window.length - 1)]!.frame.rgb, k * frameBytes);
    frameMask[k] = k < window.length ? 1 : 0;
  }
  const logits = await predictor.predict({
    frames: { dtype: "u8", shape: [frameCount, imageSize, imageSize, 3], data: pixels },
    frameMask: { dtype: "f32", shape: [frameCount], data: frameMask },
    ...soundInputs(joined(window.map(({ sound }) => sound)), frameCount, soundForm),
  });
  return window.map(({ frame, sound }, k) => {
    const { rgb: _, guide, ...time } = frame;
    return { ...time, guide, peak: peakOf(sound), probabilities: probabilitiesOf(logits, k) };
  });
}

function joined(pieces: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const out = new Float32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

/** The largest magnitude of some samples. */
function peakOf(sound: Float32Array): number {
  let peak = 0;
  for (let i = 0; i < sound.length; i++) peak = Math.max(peak, Math.abs(sound[i]!));
  return peak;
}
