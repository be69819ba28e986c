/**
 * Access to elements that the caller knows to exist: the caller keeps the index in range, nothing is checked. A function
 * per type of array sees one type. The few loops that a profile is made of index their arrays directly: there, a call
 * that the compiler no longer inlines takes half the time again.
 */

/** Element `index` of numbers of any kind. */
export function at(values: ArrayLike<number>, index: number): number {
  return values[index] as number;
}

/** Element `index` of bytes. */
export function u8At(values: Uint8Array, index: number): number {
  return values[index] as number;
}

/** Element `index` of 32-bit integers. */
export function i32At(values: Int32Array, index: number): number {
  return values[index] as number;
}

/** Element `index` of numbers in single precision. */
export function f32At(values: Float32Array, index: number): number {
  return values[index] as number;
}

/** Element `index` of numbers in double precision. */
export function f64At(values: Float64Array, index: number): number {
  return values[index] as number;
}
