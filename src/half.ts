/** Conversions between 32-bit floats and the two 16-bit forms in which weights are stored (IEEE half, bfloat16). */
import { CheckpointError } from "./errors.js";

let halfTable: Float32Array<ArrayBuffer> | undefined;

/** All 65536 halves as floats, made at first use (256 KiB). */
function halves(): Float32Array<ArrayBuffer> {
  if (halfTable !== undefined) return halfTable;
  const table = new Float32Array(0x10000);
  for (let bits = 0; bits < table.length; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 0x3ff;
    if (exponent === 31) table[bits] = fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    else if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else table[bits] = sign * (1024 + fraction) * 2 ** (exponent - 25);
  }
  halfTable = table;
  return table;
}

/** Widens IEEE halves, given by their bits, to floats; exact. */
export function widenHalf(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const table = halves();
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = table[bits[i]!]!;
  return out;
}

/** Widens bfloat16, given by its bits, to floats; exact. */
export function widenBfloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = bits[i]! << 16;
  return new Float32Array(out.buffer);
}

/** Stored floats, at the start of a buffer, as 32-bit floats; 32-bit floats are viewed, not copied. */
export function floatsOf(
  { buffer, length }: Uint8Array<ArrayBuffer>,
  type: "f32" | "f16" | "bf16",
): Float32Array<ArrayBuffer> {
  if (type === "f32") return new Float32Array(buffer, 0, length / 4);
  const bits = new Uint16Array(buffer, 0, length / 2);
  return type === "f16" ? widenHalf(bits) : widenBfloat16(bits);
}

/** Rounds floats to IEEE halves (their bits), to nearest with ties to even; beyond ±65504 they become infinite. */
export function narrowToHalf(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) out[i] = halfBits(words[i]!);
  return out;
}

/**
 * The same for the weights called `name`. Throws `CheckpointError` for a finite one beyond the range of halves;
 * `hint` says what to do then.
 */
export function narrowWeights(values: Float32Array, name: string, hint: string): Uint16Array<ArrayBuffer> {
  const bits = narrowToHalf(values);
  const bad = bits.findIndex((b, i) => (b & 0x7fff) === 0x7c00 && Number.isFinite(values[i]));
  if (bad < 0) return bits;
  throw new CheckpointError(`${name}: the value ${values[bad]} is too large for half precision`, { hint });
}

function halfBits(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const size = word & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00; // NaN
  if (size >= 0x477ff000) return sign | 0x7c00; // rounds to 65536 or more, or is infinite
  if (size >= 0x38800000) {
    // Normal: rebias the exponent by 112; the carry of the rounding may run into it, as it should.
    return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
  }
  if (size <= 0x33000000) return sign; // at most half of the smallest subnormal
  const shift = 126 - (size >>> 23);
  const mantissa = (size & 0x7fffff) | 0x800000;
  const kept = mantissa >>> shift;
  const lost = mantissa & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (lost > middle || (lost === middle && (kept & 1) === 1) ? kept + 1 : kept);
}
