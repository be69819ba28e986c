/**
 * Weights as signed bytes, few enough bits of them that every processor computes the same products.
 *
 * A product of an unsigned and a signed byte takes 16 bits. Processors without an instruction that sums such products
 * in 32 bits (x86 before VNNI) sum pairs of them in 16 bits first, and saturate. With weights of at most 64 in magnitude
 * a pair is at most 2 * 255 * 64 = 32640 in magnitude, which 16 bits hold (-32768..32767), whichever two are paired.
 */
import { f32At } from "../arrays.js";
import { CheckpointError } from "../errors.js";

/** Largest magnitude of a quantized weight: 2 * 255 * 64 = 32640 is below 2^15, 2 * 255 * 65 = 33150 is not. */
export const maxInt8Weight = 64;

/** Quantized weights, transposed as `MatMulInteger` takes them. */
export interface QuantizedRows {
  /** `i8[inputs,outputs]` */
  readonly values: Int8Array<ArrayBuffer>;
  /** `f32[outputs]` */
  readonly scales: Float32Array<ArrayBuffer>;
}

/**
 * Quantizes the weights called `name` with a scale per output channel, symmetrically around zero: `w[o,i]` is about
 * `values[i,o] * scales[o]`. The largest weight of a channel becomes `maxInt8Weight`. Throws `CheckpointError` for
 * weights that are not finite.
 * w `f32[outputs,inputs]`
 */
export function quantizeRows(w: Float32Array, outputs: number, { name }: { name: string }): QuantizedRows {
  const inputs = w.length / outputs;
  const values = new Int8Array(outputs * inputs);
  const scales = new Float32Array(outputs);
  for (let o = 0; o < outputs; o++) {
    const row = w.subarray(o * inputs, (o + 1) * inputs);
    const largest = row.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
    if (!Number.isFinite(largest)) {
      throw new CheckpointError(`${name}: expected finite weights, output channel ${o} has ${largest}`, {
        hint: "Check the run that trained the checkpoint; --precision fp32 exports it as it is.",
      });
    }
    const scale = Math.fround(largest / maxInt8Weight);
    scales[o] = scale;
    if (scale === 0) continue;
    for (let i = 0; i < inputs; i++) {
      // The scale is rounded, so that the largest weight can come out a little above the limit.
      values[i * outputs + o] = Math.max(
        -maxInt8Weight,
        Math.min(maxInt8Weight, Math.round(f32At(row, i) / scale)),
      );
    }
  }
  return { values, scales };
}

/** A kernel `[O,C,positions]` with its channels innermost, `[O,positions,C]`. */
export function channelsInnermost(
  kernel: Float32Array,
  outputs: number,
  positions: number,
): Float32Array<ArrayBuffer> {
  const channels = kernel.length / (outputs * positions);
  const out = new Float32Array(kernel.length);
  for (let o = 0; o < outputs; o++) {
    for (let c = 0; c < channels; c++) {
      for (let k = 0; k < positions; k++) {
        out[(o * positions + k) * channels + c] = f32At(kernel, (o * channels + c) * positions + k);
      }
    }
  }
  return out;
}
