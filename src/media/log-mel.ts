/**
 * VGGish's input: log-mel examples of 0.96 s. 16 kHz mono; 25 ms periodic Hann window, 10 ms hop, 512-point FFT
 * magnitude; 64 mel bands (HTK mel, 125-7500 Hz, triangles linear in mel, DC excluded); log(mel + 0.01);
 * windows of 96 frames that do not overlap.
 */

import FFT from "fft.js";
import type { TensorOf } from "../tensor.js";
import { resample } from "./resample.js";
import type { Samples } from "./wav.js";

/** The rate that VGGish hears, in Hz; other rates are resampled to it. */
export const VGGISH_RATE_HZ = 16_000;
/** Frames and mel bands of one example. */
export const EXAMPLE_FRAMES = 96;
/** Mel bands of one example. */
export const MEL_BANDS = 64;

const WINDOW = 400;
const HOP = 160;
const FFT_SIZE = 512;
const BINS = FFT_SIZE / 2 + 1;
const MEL_LOW_HZ = 125;
const MEL_HIGH_HZ = 7500;
const LOG_OFFSET = 0.01;

/** Fewest 16 kHz samples that make one example: 0.975 s. */
const SAMPLES_OF_ONE_EXAMPLE = (EXAMPLE_FRAMES - 1) * HOP + WINDOW;
/** The value of every cell of an example of digital silence. */
export const SILENT_LOG_MEL = Math.log(LOG_OFFSET);

const EXAMPLE_SIZE = EXAMPLE_FRAMES * MEL_BANDS;

const hann = Float64Array.from(
  { length: WINDOW },
  (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / WINDOW),
);

const mel = (hz: number) => 1127 * Math.log(1 + hz / 700);

/** Of one mel band: its first FFT bin and the weights from there on. */
export interface MelBand {
  readonly first: number;
  readonly weights: Float64Array;
}

function melBands(): MelBand[] {
  const low = mel(MEL_LOW_HZ);
  const step = (mel(MEL_HIGH_HZ) - low) / (MEL_BANDS + 1);
  return Array.from({ length: MEL_BANDS }, (_, band) => {
    const lower = low + band * step;
    const weights: number[] = [];
    let first = 0;
    // From bin 1: the DC bin belongs to no band.
    for (let bin = 1; bin < BINS; bin++) {
      const at = mel((bin * VGGISH_RATE_HZ) / FFT_SIZE);
      const weight = Math.min((at - lower) / step, (lower + 2 * step - at) / step);
      if (weight <= 0) continue;
      if (weights.length === 0) first = bin;
      weights.push(weight);
    }
    return { first, weights: Float64Array.from(weights) };
  });
}

const bands = melBands();

/** The parts of the transform, for those who compute it elsewhere (in the graph of an exported model). */
export const logMelTransform = {
  /** Window over the samples of one frame. */
  window: hann,
  hopSamples: HOP,
  fftSize: FFT_SIZE,
  /** Weights over the magnitudes of bins 0 to `fftSize / 2`, by mel band. */
  bands: bands as readonly MelBand[],
  /** Added before the logarithm. */
  logOffset: LOG_OFFSET,
} as const;

/** Number of whole examples in `sampleCount` samples at 16 kHz. */
export function exampleCount(sampleCount: number): number {
  if (sampleCount < WINDOW) return 0;
  return Math.floor((1 + Math.floor((sampleCount - WINDOW) / HOP)) / EXAMPLE_FRAMES);
}

/** Magnitudes of the bins of one frame; keeps its working memory from call to call. */
class Magnitudes {
  readonly #fft = new FFT(FFT_SIZE);
  readonly #spectrum = this.#fft.createComplexArray();
  readonly #input = new Float64Array(FFT_SIZE);
  readonly #magnitudes = new Float64Array(BINS);

  /** Those of the frame that begins at `start`. */
  of(sound: Samples, start: number): Float64Array {
    const [spectrum, input, magnitudes] = [this.#spectrum, this.#input, this.#magnitudes];
    for (let n = 0; n < WINDOW; n++) input[n] = sound[start + n]! * hann[n]!;
    this.#fft.realTransform(spectrum, input);
    for (let bin = 0; bin < BINS; bin++) {
      const real = spectrum[2 * bin]!;
      const imaginary = spectrum[2 * bin + 1]!;
      magnitudes[bin] = Math.sqrt(real * real + imaginary * imaginary); // Math.hypot is several times slower
    }
    return magnitudes;
  }
}

/** Writes the logarithms of the bands' energies into `out`, from `at` on. */
function logEnergies(magnitudes: Float64Array, out: Float32Array, at: number): void {
  for (let band = 0; band < MEL_BANDS; band++) {
    const { first, weights } = bands[band]!;
    let energy = 0;
    for (let i = 0; i < weights.length; i++) energy += weights[i]! * magnitudes[first + i]!;
    out[at + band] = Math.log(energy + LOG_OFFSET);
  }
}

/**
 * Log-mel examples of mono samples in [-1, 1], `f32[N,1,96,64]`; example k starts at 0.96 k seconds.
 * N is zero for less than 0.975 s of sound. Other rates than 16 kHz are resampled first.
 */
export function logMelExamples(samples: Samples, sampleRateHz: number): TensorOf<"f32"> {
  const sound = resample(samples, sampleRateHz, VGGISH_RATE_HZ);
  const count = exampleCount(sound.length);
  const data = new Float32Array(count * EXAMPLE_SIZE);
  const magnitudes = new Magnitudes();
  for (let frame = 0; frame < count * EXAMPLE_FRAMES; frame++) {
    logEnergies(magnitudes.of(sound, frame * HOP), data, frame * MEL_BANDS);
  }
  return { dtype: "f32", shape: [count, 1, EXAMPLE_FRAMES, MEL_BANDS], data };
}

/**
 * Exactly `count` examples: longer sound is cut, shorter sound repeats its last example (as published),
 * and sound too short for one is first padded with silence. Empty sound is silence throughout.
 */
export function fitExamples(samples: Samples, sampleRateHz: number, count: number): TensorOf<"f32"> {
  const enough = Math.ceil((SAMPLES_OF_ONE_EXAMPLE * sampleRateHz) / VGGISH_RATE_HZ) + 1;
  let sound = samples;
  if (samples.length < enough) {
    sound = new Float64Array(enough);
    sound.set(samples);
  }
  const made = logMelExamples(sound, sampleRateHz);
  const n = Math.min(count, made.shape[0] ?? 0);
  const data = new Float32Array(count * EXAMPLE_SIZE);
  data.set(made.data.subarray(0, n * EXAMPLE_SIZE));
  const last = made.data.subarray((n - 1) * EXAMPLE_SIZE, n * EXAMPLE_SIZE);
  for (let k = n; k < count; k++) data.set(last, k * EXAMPLE_SIZE);
  return { dtype: "f32", shape: [count, 1, EXAMPLE_FRAMES, MEL_BANDS], data };
}
