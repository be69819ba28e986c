/** Shape rules that several ops share. */
import type { Shape } from "../tensor.js";
import type { Value } from "./value.js";

/** True when two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** NumPy broadcasting of two shapes. Throws `RangeError` naming `op` when they do not fit. */
export function broadcastShapes(op: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw new RangeError(`${op}: shapes [${a}] and [${b}] do not broadcast`);
    }
    return x === 1 ? y : x;
  });
}

/** An axis counted from the front; a negative one counts from the end. Throws `RangeError` outside the rank. */
export function normalAxis(op: string, rank: number, axis: number): number {
  const k = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(k) || k < 0 || k >= rank) {
    throw new RangeError(`${op}: axis ${axis} outside a tensor of rank ${rank}`);
  }
  return k;
}

/** The size `shape[axis]`; a negative axis counts from the end. Throws `RangeError` outside the rank. */
export function dimOf(shape: Shape, axis: number): number {
  const d = shape[normalAxis("shape", shape.length, axis)];
  if (d === undefined) throw new RangeError(`shape: no axis ${axis} in [${shape}]`);
  return d;
}

/** Size of `v` along `axis`; a negative axis counts from the end. Throws `RangeError` outside the rank. */
export function dim(v: Value, axis: number): number {
  return dimOf(v.shape, axis);
}

/** The shape of `v` as four sizes. Throws `RangeError` naming `op` when it has another rank. */
export function shape4(v: Value, op: string): readonly [number, number, number, number] {
  const [a, b, c, d] = v.shape;
  if (v.shape.length !== 4 || a === undefined || b === undefined || c === undefined || d === undefined) {
    throw new RangeError(`${op}: expected four axes, got [${v.shape}]`);
  }
  return [a, b, c, d];
}

/** The shape of `v` as three sizes. Throws `RangeError` naming `op` when it has another rank. */
export function shape3(v: Value, op: string): readonly [number, number, number] {
  const [a, b, c] = v.shape;
  if (v.shape.length !== 3 || a === undefined || b === undefined || c === undefined) {
    throw new RangeError(`${op}: expected three axes, got [${v.shape}]`);
  }
  return [a, b, c];
}
