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

/** Points of the table from one tap to the next. Truncated, as in resampy: taps are slightly closer than samples. */
function tapDistance(scale: number): number {
  return Math.trunc(scale * TABLE_POINTS);
}

/** Samples at `fromHz` before and after its position that an output at `toHz` depends on. */
export function resampleReach(fromHz: number, toHz: number): number {
  return Math.ceil((ZERO_CROSSINGS * TABLE_POINTS + 1) / tapDistance(Math.min(1, toHz / fromHz)));
}

/** One wing: the filter read from `start` (in zero crossings) onwards, a sample apart. */
function wing(start: number, scale: number): Float64Array {
  const table = filterTable();
  const step = tapDistance(scale);
  const position = start * TABLE_POINTS;
  const offset = Math.trunc(position);
  const eta = position - offset;
  const weights = new Float64Array(Math.floor((table.length - offset) / step));
  for (let i = 0; i < weights.length; i++) {
    const index = offset + i * step;
    const value = f64At(table, index);
    weights[i] = scale * (value + eta * ((table[index + 1] ?? value) - value));
  }
  return weights;
}

/** The filter for outputs that lie `fraction` of a sample after sample `n`. */
interface Taps {
  /** Of the samples from `n + 1 - left` on. */
  readonly weights: Float64Array;
  readonly left: number;
}

function tapsAt(fraction: number, scale: number): Taps {
  const first = scale * fraction;
  const left = wing(first, scale).reverse();
  const right = wing(scale - first, scale);
  const weights = new Float64Array(left.length + right.length);
  weights.set(left);
  weights.set(right, left.length);
  return { weights, left: left.length };
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
  const out = new Float64Array(Math.trunc((samples.length * toHz) / fromHz));
  // Silence before and after the samples, so that every output has all its taps.
  const reach = resampleReach(fromHz, toHz);
  const padded = new Float64Array(samples.length + 2 * reach);
  padded.set(samples, reach);

  const outputs = new Int32Array(Math.ceil(out.length / phases));
  for (let phase = 0; phase < Math.min(phases, out.length); phase++) {
    // Outputs of one phase share their taps. Rounding may put a whole-numbered time just below it: a phase of its own.
    for (const isBelow of phase === 0 ? [false, true] : [false]) {
      let count = 0;
      for (let t = phase; t < out.length; t += phases) {
        const time = t * increment;
        if (phase !== 0 || time - Math.trunc(time) > 0.5 === isBelow) outputs[count++] = t;
      }
      if (count === 0) continue;
      const first = outputs[0]! * increment;
      const { weights, left } = tapsAt(first - Math.trunc(first), scale);
      weigh(padded, weights, {
        out,
        outputs: outputs.subarray(0, count),
        increment,
        shift: reach + 1 - left,
      });
    }
  }
  return out;
}

interface WeighedOutputs {
  readonly out: Float64Array;
  readonly outputs: Int32Array;
  /** Output t is a sum over the samples from `trunc(t * increment) + shift` on. */
  readonly increment: number;
  readonly shift: number;
}

/** Outputs that are summed at once, so that additions do not wait for one another. */
const LANES = 8;

/** Sets outputs to weighted sums of samples. */
function weigh(
  samples: Float64Array,
  weights: Float64Array,
  { out, outputs, increment, shift }: WeighedOutputs,
): void {
  const starts = new Int32Array(LANES);
  const sums = new Float64Array(LANES);
  for (let k = 0; k < outputs.length; k += LANES) {
    const count = Math.min(LANES, outputs.length - k);
    // Lanes past the last output compute that one again.
    for (let i = 0; i < LANES; i++) {
      starts[i] = Math.trunc(outputs[k + Math.min(i, count - 1)]! * increment) + shift;
    }
    sumLanes(samples, weights, { starts, sums });
    for (let i = 0; i < count; i++) out[outputs[k + i]!] = sums[i]!;
  }
}

interface Lanes {
  readonly starts: Int32Array;
  readonly sums: Float64Array;
}

/** Sets the sum of every lane to that of the weighted samples from the lane's start on. */
function sumLanes(samples: Float64Array, weights: Float64Array, { starts, sums }: Lanes): void {
  const [a, b, c, d] = [starts[0]!, starts[1]!, starts[2]!, starts[3]!];
  const [e, f, g, h] = [starts[4]!, starts[5]!, starts[6]!, starts[7]!];
  let [sumA, sumB, sumC, sumD, sumE, sumF, sumG, sumH] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i]!;
    sumA += weight * samples[a + i]!;
    sumB += weight * samples[b + i]!;
    sumC += weight * samples[c + i]!;
    sumD += weight * samples[d + i]!;
    sumE += weight * samples[e + i]!;
    sumF += weight * samples[f + i]!;
    sumG += weight * samples[g + i]!;
    sumH += weight * samples[h + i]!;
  }
  sums.set([sumA, sumB, sumC, sumD, sumE, sumF, sumG, sumH]);
}
