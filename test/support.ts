/** What tests share: seeded weights and inputs, and a tolerance matcher. */
import assert from "node:assert/strict";
import path from "node:path";
import type { SoundInputs } from "../src/media/sound-inputs.js";
import { hashText } from "../src/random.js";
import { type Shape, sizeOf, type TensorOf } from "../src/tensor.js";

/** The repository's root folder (this file runs from `dist/test/`). */
export const root = path.resolve(import.meta.dirname, "..", "..");

/** The reference generator: uniform in [-1, 1), a function of the name and the element's index. */
export function seededUniform(name: string, size: number): Float32Array<ArrayBuffer> {
  const h0 = hashText(name);
  const out = new Float32Array(size);
  for (let k = 0; k < size; k++) {
    let h = (h0 + Math.imul(k, 0x9e3779b1)) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h = (h ^ (h >>> 16)) >>> 0;
    out[k] = h / 2 ** 31 - 1;
  }
  return out;
}

/** The reference input `input:<id>` times `scale`. */
export function seededInput(id: string, shape: Shape, scale = 1): TensorOf<"f32"> {
  return { dtype: "f32", shape, data: seededUniform(`input:${id}`, sizeOf(shape)).map((u) => u * scale) };
}

/** The log-mels of a clip or a batch, which must have them. */
export function logMelOf({ logMel }: Pick<SoundInputs, "logMel">): TensorOf<"f32"> {
  return logMel ?? assert.fail("no log-mels");
}

/** The reference mask of zeros and ones: where `input:<id>` is above 0.3. */
export function seededMask(id: string, shape: Shape): TensorOf<"u8"> {
  const u = seededUniform(`input:${id}`, sizeOf(shape));
  return { dtype: "u8", shape, data: Uint8Array.from(u, (x) => (x > 0.3 ? 1 : 0)) };
}

/** The reference value of parameter `key` (rules of `test/reference/README.md`). */
export function seededParameter(key: string, shape: Shape): TensorOf<"f32"> {
  const u = seededUniform(key, sizeOf(shape));
  const fanIn = sizeOf(shape.slice(1));
  const scale = Math.sqrt(3 / fanIn);
  let value: (x: number) => number;
  if (key.endsWith("running_var")) value = (x) => 1 + 0.5 * x;
  else if (shape.length >= 2) value = (x) => x * scale;
  else if (key.endsWith("bias") || key.endsWith("running_mean")) value = (x) => 0.1 * x;
  else value = (x) => 1 + 0.1 * x;
  return { dtype: "f32", shape, data: u.map(value) };
}

/** Largest absolute difference over the largest absolute expected value, or over `largest` where that is given. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, largest = 0): number {
  assert.equal(actual.length, expected.length, "lengths differ");
  let worst = 0;
  let scale = Math.max(largest, 1e-30);
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((actual[i] as number) - (expected[i] as number));
    if (Number.isNaN(difference)) return Number.NaN;
    worst = Math.max(worst, difference);
    scale = Math.max(scale, Math.abs(expected[i] as number));
  }
  return worst / scale;
}

/** Fails unless `relativeError` is at most `tolerance`; `what` names the tensor. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  const error = relativeError(actual, expected);
  assert.ok(error <= tolerance, `${what}: relative error ${error}, allowed ${tolerance}`);
}
