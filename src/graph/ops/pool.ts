/** Max pooling. */
import { defineMultiOp } from "../define-op.js";
import { shape4 } from "../shapes.js";
import type { Value } from "../value.js";
import { scatterSum } from "./gather.js";

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
