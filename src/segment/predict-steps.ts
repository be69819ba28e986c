/** A stream of frames and a stream of sound in, probabilities of every one-second step out, in bounded memory. */

import type { Predictor } from "../inference/predictor.js";
import { fitExamples, VGGISH_RATE_HZ } from "../media/log-mel.js";
import type { StepTime } from "../media/step-times.js";
import type { StepFrame } from "../media/video.js";
import { type ProbabilityMap, probabilitiesOf } from "./probability-map.js";

/** What the model predicts for one step. */
export interface Step extends StepTime {
  /** Largest magnitude of the step's sound, 0 to 1; 0 is digital silence. */
  readonly peak: number;
  readonly probabilities: ProbabilityMap;
}

/** What `predictSteps` reads. */
export interface StepSource {
  /** Frames at the predictor's size. */
  readonly frames: AsyncIterator<StepFrame, void, undefined>;
  /** 16 kHz mono from time zero on. */
  readonly sound: AsyncIterator<Float32Array, void, undefined>;
  readonly signal?: AbortSignal | undefined;
}

/** Cuts a stream of samples into pieces of requested lengths; past its end it is silent. */
class SampleReader {
  readonly #source: AsyncIterator<Float32Array, void, undefined>;
  #rest: Float32Array = new Float32Array(0);

  constructor(source: AsyncIterator<Float32Array, void, undefined>) {
    this.#source = source;
  }

  async read(count: number): Promise<Float32Array<ArrayBuffer>> {
    const out = new Float32Array(count);
    let filled = 0;
    while (filled < count) {
      if (this.#rest.length === 0) {
        const next = await this.#source.next();
        if (next.done) break;
        this.#rest = next.value;
        continue;
      }
      const part = this.#rest.subarray(0, count - filled);
      out.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return out;
  }
}

/** The largest magnitude in one second of `sound`. */
function peakOf(sound: Float32Array, second: number): number {
  let peak = 0;
  const end = Math.min(sound.length, (second + 1) * VGGISH_RATE_HZ);
  for (let i = second * VGGISH_RATE_HZ; i < end; i++) peak = Math.max(peak, Math.abs(sound[i]!));
  return peak;
}

/**
 * Runs `predictor` over windows of its T steps. The window's sound becomes T examples exactly as a training clip's does.
 * The last window repeats its last frame up to T, flagged as padding; padding is not yielded.
 */
export async function* predictSteps(
  predictor: Predictor,
  { frames, sound, signal }: StepSource,
): AsyncGenerator<Step, void, undefined> {
  const { frameCount, imageSize } = predictor;
  const frameBytes = imageSize * imageSize * 3;
  const samples = new SampleReader(sound);
  for (let ended = false; !ended; ) {
    const window: StepFrame[] = [];
    while (window.length < frameCount && !ended) {
      const next = await frames.next();
      if (next.done) ended = true;
      else window.push(next.value);
    }
    const last = window.at(-1);
    if (!last) return;
    signal?.throwIfAborted();

    const seconds = window.length - 1 + last.coveredSeconds;
    const windowSound = await samples.read(Math.round(seconds * VGGISH_RATE_HZ));
    const pixels = new Uint8Array(frameCount * frameBytes);
    const frameMask = new Float32Array(frameCount);
    for (let k = 0; k < frameCount; k++) {
      pixels.set((window[k] ?? last).rgb, k * frameBytes);
      frameMask[k] = k < window.length ? 1 : 0;
    }
    const logits = await predictor.predict({
      frames: { dtype: "u8", shape: [frameCount, imageSize, imageSize, 3], data: pixels },
      logMel: fitExamples(windowSound, VGGISH_RATE_HZ, frameCount),
      frameMask: { dtype: "f32", shape: [frameCount], data: frameMask },
    });
    for (const [k, { index, timeSeconds, coveredSeconds }] of window.entries()) {
      signal?.throwIfAborted();
      const probabilities = probabilitiesOf(logits, k);
      yield { index, timeSeconds, coveredSeconds, peak: peakOf(windowSound, k), probabilities };
    }
  }
}
