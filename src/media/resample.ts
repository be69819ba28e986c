/**
 * Sample-rate conversion equal to resampy 0.4.2's `kaiser_best` filter (Smith, "Digital Audio Resampling"):
 * a windowed sinc, tabulated at 8192 points per zero crossing, interpolated linearly. The published front end uses it.
 */
import { f64At } from "../arrays.js";
import type { Samples } from "./wav.js";

/** The filter: 50 zero crossings, a Kaiser window, and a cut-off a little under the Nyquist frequency. */
const ZERO_CROSSINGS = 50;
const TABLE_POINTS = 8192;
const KAISER_BETA = 12.984585247040012;
const ROLLOFF = 0.9173473712608761;
/** Weights of at most this many phases are kept; ratios with more (rates with hardly a common divisor) recompute. */
const MAX_KEPT_PHASES = 4096;

/** Modified Bessel function of the first kind, order zero, by its power series. */
export function besselI0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

let rightWing: Float64Array | undefined;

/** The right half of the filter, `ZERO_CROSSINGS * TABLE_POINTS + 1` values, made once. */
function filterTable(): Float64Array {
  if (rightWing) return rightWing;
  const last = ZERO_CROSSINGS * TABLE_POINTS;
  const table = new Float64Array(last + 1);
  const norm = besselI0(KAISER_BETA);
  for (let i = 0; i <= last; i++) {
    const x = Math.PI * ROLLOFF * (i / TABLE_POINTS);
    const sinc = i === 0 ? 1 : Math.sin(x) / x;
    const taper = besselI0(KAISER_BETA * Math.sqrt(1 - (i / last) ** 2)) / norm;
    table[i] = ROLLOFF * sinc * taper;
  }
  rightWing = table;
  return table;
}

/** Weights of the samples at and before a position (`left`, backwards) and after it (`right`, forwards). */
interface Taps {
  readonly left: Float64Array;
  readonly right: Float64Array;
}

/** One wing: the filter read from `start` (in zero crossings) onwards, a sample apart. */
function wing(start: number, scale: number): Float64Array {
  const table = filterTable();
  const position = start * TABLE_POINTS;
  const offset = Math.trunc(position);
  const eta = position - offset;
  // Truncated, as in resampy: the taps are very slightly closer together than the samples.
  const step = Math.trunc(scale * TABLE_POINTS);
  const weights = new Float64Array(Math.floor((table.length - offset) / step));
  for (let i = 0; i < weights.length; i++) {
    const index = offset + i * step;
    const value = f64At(table, index);
    weights[i] = scale * (value + eta * ((table[index + 1] ?? value) - value));
  }
  return weights;
}

/** The largest whole number that divides both. */
export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/**
 * Converts mono samples from `fromHz` to `toHz` (whole numbers). The result has `floor(length * toHz / fromHz)` samples.
 * Equal rates return the samples themselves. Throws `RangeError` on rates that are not positive whole numbers.
 */
export function resample(samples: Samples, fromHz: number, toHz: number): Samples {
  for (const rate of [fromHz, toHz]) {
    if (!Number.isInteger(rate) || rate < 1) throw new RangeError(`resample: a sample rate of ${rate} Hz`);
  }
  if (fromHz === toHz) return samples;
  const ratio = toHz / fromHz;
  const scale = Math.min(1, ratio);
  const increment = 1 / ratio;
  const phases = toHz / greatestCommonDivisor(fromHz, toHz);
  const kept = new Map<number, Taps>();
  const out = new Float64Array(Math.trunc((samples.length * toHz) / fromHz));

  for (let t = 0; t < out.length; t++) {
    const time = t * increment;
    const n = Math.trunc(time);
    // Output t has phase t mod `phases`. Rounding may put a whole-numbered time just below it: a phase of its own.
    const fraction = time - n;
    const phase = fraction > 0.5 && t % phases === 0 ? phases : t % phases;
    let taps = kept.get(phase);
    if (!taps) {
      const first = scale * fraction;
      taps = { left: wing(first, scale), right: wing(scale - first, scale) };
      if (kept.size < MAX_KEPT_PHASES) kept.set(phase, taps);
    }
    const { left, right } = taps;
    let sum = 0;
    for (let i = Math.min(left.length, n + 1) - 1; i >= 0; i--) sum += left[i]! * samples[n - i]!;
    const after = Math.min(right.length, samples.length - n - 1);
    for (let i = 0; i < after; i++) sum += right[i]! * samples[n + 1 + i]!;
    out[t] = sum;
  }
  return out;
}
