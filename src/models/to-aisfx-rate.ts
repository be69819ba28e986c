/** From the 16 kHz at which all models take sounds to aiSFX's 44.1 kHz, in a graph. The bands above 8 kHz stay empty. */
import { concat, constant, dim, matmul, pad, reshape, slice, type Value } from "../graph/index.js";
import { besselI0 } from "../media/resample.js";
import { aisfxRateHz } from "./aisfx-spectrogram.js";

/** 10 ms: the shortest time that has whole samples at both rates. */
const group = { taken: 160, made: aisfxRateHz / 100 };
/** Samples before and after the position of a made sample that it depends on. */
const reach = 32;
/** Of a Kaiser window. */
const beta = 9;
/** Cut-off, as a fraction of 8 kHz. */
const cutoff = 0.95;

/** waves `f32[B,16000*T]` -> `f32[B,44100*T]`: a windowed sinc of 64 samples, as one matrix product. */
export function toAisfxRate(waves: Value, seconds: number): Value {
  const batch = dim(waves, 0);
  const groups = 100 * seconds;
  const padded = pad(waves, [{ axis: 1, before: reach, after: group.taken }]);
  /** The first `count` samples, from `start` on, of every group. */
  const part = (start: number, count: number) => {
    const end = start + groups * group.taken;
    const rows = reshape(slice(padded, [{ axis: 1, start, end }]), [batch, groups, group.taken]);
    return slice(rows, [{ axis: 2, start: 0, end: count }]);
  };
  const taken = group.taken + 2 * reach;
  const around = concat([part(0, group.taken), part(group.taken, 2 * reach)], 2); // [B,G,taken]
  const weights = constant({
    dtype: "f32",
    shape: [taken, group.made],
    data: Float32Array.from({ length: taken * group.made }, (_, i) => {
      const [from, to] = [Math.floor(i / group.made), i % group.made];
      return filter(from - reach - (to * group.taken) / group.made);
    }),
  });
  return reshape(matmul(around, weights), [batch, groups * group.made]);
}

/** The filter at a distance in samples. */
function filter(distance: number): number {
  const part = distance / reach;
  if (Math.abs(part) >= 1) return 0;
  const x = Math.PI * cutoff * distance;
  const sinc = x === 0 ? 1 : Math.sin(x) / x;
  return (cutoff * sinc * besselI0(beta * Math.sqrt(1 - part * part))) / besselI0(beta);
}
