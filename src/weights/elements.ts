/** Element types as weight files store them, and their conversion to the tensors of this library. */
import { floatsOf } from "../half.js";
import { type DType, type Shape, sizeOf, type Tensor } from "../tensor.js";

/** How a file stores an element; `f16`, `bf16`, `i16` and `i8` are widened on reading. */
export type ElementType = "f64" | "f32" | "f16" | "bf16" | "i64" | "i32" | "i16" | "i8" | "u8" | "bool";

/** Per stored type: bytes of one element, and the dtype that it has after reading. */
export const ELEMENTS: { readonly [E in ElementType]: { readonly bytes: number; readonly dtype: DType } } = {
  f64: { bytes: 8, dtype: "f64" },
  f32: { bytes: 4, dtype: "f32" },
  f16: { bytes: 2, dtype: "f32" },
  bf16: { bytes: 2, dtype: "f32" },
  i64: { bytes: 8, dtype: "i64" },
  i32: { bytes: 4, dtype: "i32" },
  i16: { bytes: 2, dtype: "i32" },
  i8: { bytes: 1, dtype: "i32" },
  u8: { bytes: 1, dtype: "u8" },
  bool: { bytes: 1, dtype: "bool" },
};

/**
 * A tensor of `shape` from its stored bytes (little-endian, row-major). Ownership of `bytes` is transferred: types that
 * need no widening are viewed, not copied. Throws `RangeError` unless `bytes` begins its buffer and holds exactly `shape`.
 */
export function decodeTensor(bytes: Uint8Array<ArrayBuffer>, type: ElementType, shape: Shape): Tensor {
  const n = sizeOf(shape);
  if (bytes.length !== n * ELEMENTS[type].bytes || bytes.byteOffset !== 0) {
    throw new RangeError(`${bytes.length} bytes do not fill ${type}[${shape.join(",")}]`);
  }
  const { buffer } = bytes;
  switch (type) {
    case "f64":
      return { dtype: "f64", shape, data: new Float64Array(buffer, 0, n) };
    case "f32":
    case "f16":
    case "bf16":
      return { dtype: "f32", shape, data: floatsOf(bytes, type) };
    case "i64":
      return { dtype: "i64", shape, data: new BigInt64Array(buffer, 0, n) };
    case "i32":
      return { dtype: "i32", shape, data: new Int32Array(buffer, 0, n) };
    case "i16":
      return { dtype: "i32", shape, data: Int32Array.from(new Int16Array(buffer, 0, n)) };
    case "i8":
      return { dtype: "i32", shape, data: Int32Array.from(new Int8Array(buffer, 0, n)) };
    case "u8":
      return { dtype: "u8", shape, data: bytes };
    case "bool":
      return { dtype: "bool", shape, data: bytes.map((b) => (b === 0 ? 0 : 1)) };
  }
}

/** Whether a value from an untrusted file is a size or an offset: an exact integer from 0. */
export function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Whether a value from an untrusted file is a list of sizes, for example strides. */
export function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isSize);
}

/** Whether a value from an untrusted file is a shape: sizes whose product is exact, too. */
export function isShape(value: unknown): value is number[] {
  if (!isSizes(value)) return false;
  let n = 1;
  // An axis of zero makes the product zero, but the axes before it must not overflow on the way either.
  return value.every((d) => {
    n *= d;
    return Number.isSafeInteger(n);
  });
}
