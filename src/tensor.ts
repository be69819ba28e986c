/** Dense tensors on the host: what files hold, what a session is fed and what it returns. */

/** Element types that graphs and files use. Half precision is widened to `f32` on reading. */
export type DType = "f32" | "f64" | "i32" | "i64" | "u8" | "bool";

/** Sizes of the axes, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** Typed arrays by dtype. */
export interface DataOf {
  f32: Float32Array<ArrayBuffer>;
  f64: Float64Array<ArrayBuffer>;
  i32: Int32Array<ArrayBuffer>;
  i64: BigInt64Array<ArrayBuffer>;
  u8: Uint8Array<ArrayBuffer>;
  bool: Uint8Array<ArrayBuffer>;
}

/** The typed array that holds elements of `D`; booleans are bytes 0 and 1. */
export type DataFor<D extends DType> = DataOf[D];

/** A row-major tensor of dtype `D`; `data.length` is the product of `shape`. */
export type TensorOf<D extends DType> = {
  readonly dtype: D;
  readonly shape: Shape;
  readonly data: DataFor<D>;
};

/** A row-major tensor of any dtype; narrow on `dtype` to get at its data. */
export type Tensor = { [D in DType]: TensorOf<D> }[DType];

/** Parameters by state-dict key, e.g. `bridger.Fusers.0.vis_out.weight`. */
export type StateDict = ReadonlyMap<string, Tensor>;

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** `f32[2,3]`-style text for messages. */
export function describe(t: { dtype: DType; shape: Shape }): string {
  return `${t.dtype}[${t.shape.join(",")}]`;
}

/** Wraps `data` as an `f32` tensor. Throws `RangeError` when the length does not fit the shape. */
export function f32(data: Float32Array<ArrayBuffer> | readonly number[], shape: Shape): TensorOf<"f32"> {
  const array = data instanceof Float32Array ? data : Float32Array.from(data);
  if (array.length !== sizeOf(shape)) {
    throw new RangeError(`tensor: ${array.length} values do not fill f32[${shape.join(",")}]`);
  }
  return { dtype: "f32", shape, data: array };
}

/** An `f32` tensor of one repeated value. Default: 0. */
export function full(shape: Shape, value = 0): TensorOf<"f32"> {
  return { dtype: "f32", shape, data: new Float32Array(sizeOf(shape)).fill(value) };
}

/** The same values in memory of their own. */
export function copyOf(t: Tensor): Tensor {
  switch (t.dtype) {
    case "f32":
      return { ...t, data: t.data.slice() };
    case "f64":
      return { ...t, data: t.data.slice() };
    case "i32":
      return { ...t, data: t.data.slice() };
    case "i64":
      return { ...t, data: t.data.slice() };
    case "u8":
      return { ...t, data: t.data.slice() };
    case "bool":
      return { ...t, data: t.data.slice() };
  }
}

/** Asserts that a tensor is `f32` and narrows it. `what` names it in the `TypeError`. */
export function asF32(t: Tensor, what: string): TensorOf<"f32"> {
  if (t.dtype !== "f32") throw new TypeError(`${what}: expected f32, got ${describe(t)}`);
  return t;
}
