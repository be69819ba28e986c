/**
 * Sample-rate conversion of a stream in bounded memory, with the filter that ffmpeg's `aresample` has by default, so
 * that sound decoded elsewhere becomes what Node hears: a sinc under a Kaiser window, 32 samples of the lower rate wide.
 */
import { f32At, f64At } from "../arrays.js";
import { besselI0, greatestCommonDivisor } from "./resample.js";

const FILTER_SIZE = 32;
/** Cut-off as a fraction of the lower rate's Nyquist frequency. */
const CUTOFF = 0.97;
const KAISER_BETA = 9;

/** Weights of `taps` samples, the one at or before the output's time at index `center`, by phase of the output. */
interface FilterBank {
  readonly taps: number;
  readonly center: number;
  readonly phases: readonly Float64Array[];
}

function filterBank(fromHz: number, toHz: number): FilterBank {
  const factor = Math.min(1, (CUTOFF * toHz) / fromHz);
  const taps = 2 * Math.ceil(FILTER_SIZE / factor / 2);
  const center = Math.floor((taps - 1) / 2);
  const count = toHz / greatestCommonDivisor(fromHz, toHz);
  const phases = Array.from({ length: count }, (_, phase) => {
    const weights = Float64Array.from({ length: taps }, (_, i) => {
      const x = Math.PI * (i - center - phase / count) * factor;
      const w = (2 * x) / (factor * taps * Math.PI);
      const sinc = x === 0 ? 1 : Math.sin(x) / x;
      return sinc * besselI0(KAISER_BETA * Math.sqrt(Math.max(0, 1 - w * w)));
    });
    const total = weights.reduce((sum, w) => sum + w, 0);
    return weights.map((w) => w / total);
  });
  return { taps, center, phases };
}

/**
 * Converts mono pieces of any length from `fromHz` to `toHz` (whole numbers): `floor(length * toHz / fromHz)` samples
 * in all. Past its ends the sound is mirrored, as ffmpeg does.
 */
export async function* resampleStream(
  pieces: AsyncIterable<Float32Array>,
  fromHz: number,
  toHz: number,
): AsyncGenerator<Float32Array, void, undefined> {
  if (fromHz === toHz) {
    yield* pieces;
    return;
  }
  const { taps, center, phases } = filterBank(fromHz, toHz);
  const step = fromHz / greatestCommonDivisor(fromHz, toHz);
  /** The samples that later outputs need; the next output reads `taps` from `at` on, with the weights of `phase`. */
  let samples: Float32Array = new Float32Array(0);
  let at = 0;
  let phase = 0;
  let taken = 0;
  let given = 0;

  const converted = (most: number): Float32Array => {
    // Output k from here starts at `at + floor((phase + k step) / phases)`, which leaves room for its taps.
    const room = samples.length - taps - at + 1;
    const out = new Float32Array(
      Math.max(0, Math.min(most, Math.ceil((room * phases.length - phase) / step))),
    );
    for (let k = 0; k < out.length; k++) {
      const weights = phases[phase]!;
      let sum = 0;
      for (let i = 0; i < taps; i++) sum += f64At(weights, i) * f32At(samples, at + i);
      out[k] = sum;
      phase += step;
      at += Math.floor(phase / phases.length);
      phase %= phases.length;
    }
    given += out.length;
    return out;
  };
  const append = (...more: readonly Float32Array[]): void => {
    const rest = samples.subarray(at);
    const parts = [rest, ...more];
    samples = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
    parts.reduce((to, part) => {
      samples.set(part, to);
      return to + part.length;
    }, 0);
    at = 0;
  };
  /** Puts the mirror image of the first samples before them. */
  const mirrorStart = (): void => {
    const head = samples;
    samples = new Float32Array(0);
    append(
      Float32Array.from({ length: center }, (_, i) => f32At(head, Math.min(center - i, head.length - 1))),
      head,
    );
  };

  for await (const piece of pieces) {
    const atStart = taken <= center;
    taken += piece.length;
    append(piece);
    if (taken <= center) continue;
    if (atStart) mirrorStart();
    const out = converted(Number.POSITIVE_INFINITY);
    if (out.length > 0) yield out;
  }
  if (taken === 0) return;
  if (taken <= center) mirrorStart();
  const last = samples;
  append(
    Float32Array.from({ length: taps - center }, (_, i) => f32At(last, Math.max(0, last.length - 1 - i))),
  );
  const out = converted(Math.floor((taken * toHz) / fromHz) - given);
  if (out.length > 0) yield out;
}
