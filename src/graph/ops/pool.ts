/** Max pooling, and the scatter that its gradient needs. */

import { type Shape, sizeOf } from "../../tensor.js";
import { defineMultiOp, defineOp } from "../define-op.js";
import { shape4 } from "../shapes.js";
import type { Value } from "../value.js";
import { reshape } from "./layout.js";

/** Options of `maxPool2d`; padding counts as minus infinity. */
export interface PoolOptions {
  readonly kernel: number;
  readonly stride: number;
  readonly padding?: number;
}

// The second output holds, for every output element, the flat index of the element of x it came from.
const maxPoolOp = defineMultiOp<readonly [Value], Required<PoolOptions>>({
  name: "MaxPool",
  outputs: ([x], { kernel, stride, padding }) => {
    const [batch, channels, height, width] = shape4(x, "MaxPool");
    const size = (d: number) => Math.floor((d + 2 * padding - kernel) / stride) + 1;
    const shape = [batch, channels, size(height), size(width)];
    if (shape.some((d) => d < 1)) throw new RangeError(`MaxPool: [${x.shape}] is smaller than the window`);
    return [
      { shape, dtype: x.dtype },
      { shape, dtype: "i64" },
    ];
  },
  grad: ({ gs: [g], ys: [, source], inputs: [x] }) => {
    if (g === undefined || source === undefined)
      throw new Error("MaxPool: only the first output has a gradient");
    return [scatterSum(g, source, x.shape)];
  },
  onnx: (e, names, { kernel, stride, padding }) =>
    e.multi("MaxPool", names, 2, {
      kernel_shape: { ints: [kernel, kernel] },
      strides: { ints: [stride, stride] },
      pads: { ints: [padding, padding, padding, padding] },
    }),
});

/** Maximum over windows.  x `[B,C,H,W]` -> `[B,C,H',W']`; the first of equal maxima gets the gradient. */
export function maxPool2d(x: Value, { kernel, stride, padding = 0 }: PoolOptions): Value {
  const [y] = maxPoolOp([x], { kernel, stride, padding });
  if (y === undefined) throw new Error("MaxPool: no output");
  return y;
}

const scatterOp = defineOp<readonly [Value, Value], { size: number }>({
  name: "ScatterElements",
  shape: (_, { size }) => [size],
  grad: ({ g, inputs: [, index] }) => [gather(g, index), null],
  onnx: (e, [x, index], { size }) => {
    const zeros = e.op("Expand", [e.scalar(0), e.ints([size])]);
    return e.op("ScatterElements", [zeros, index, x], { axis: { i: 0 }, reduction: { s: "add" } });
  },
});

/** Zeros of `shape` with every element of `x` added at its flat index. */
export function scatterSum(x: Value, index: Value, shape: Shape): Value {
  return reshape(scatterOp([reshape(x, [-1]), reshape(index, [-1])], { size: sizeOf(shape) }), shape);
}

const gatherOp = defineOp<readonly [Value, Value], Record<string, never>>({
  name: "GatherElements",
  shape: ([, index]) => index.shape,
  grad: ({ g, inputs: [x, index] }) => [scatterSum(g, index, x.shape), null],
  onnx: (e, names) => e.op("GatherElements", names, { axis: { i: 0 } }),
});

/** Elements of the vector `x` at the `i64` positions `index` (a vector). */
export function gather(x: Value, index: Value): Value {
  return gatherOp([x, index], {});
}

const oneHotOp = defineOp<readonly [Value], { depth: number }>({
  name: "OneHot",
  shape: ([index], { depth }) => [...index.shape, depth],
  dtype: () => "f32",
  grad: "none",
  onnx: (e, [index], { depth }) =>
    e.op("OneHot", [
      index,
      e.ints([depth]),
      e.constant({ dtype: "f32", shape: [2], data: Float32Array.of(0, 1) }),
    ]),
});

/** 1 at the class index, else 0.  index `i64[...]` -> `f32[...,depth]`; an index outside is all zeros. */
export function oneHot(index: Value, depth: number): Value {
  return oneHotOp([index], { depth });
}
