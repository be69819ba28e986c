/** Max pooling. */

import type { Shape } from "../../tensor.js";
import { defineOp } from "../define-op.js";
import { shape4 } from "../shapes.js";
import type { Value } from "../value.js";
import { scatterSum } from "./gather.js";

/** Options of `maxPool2d`; the same for both axes. */
export interface PoolOptions {
  readonly kernel: number;
  readonly stride: number;
  /** Added on every side; it counts as minus infinity. Default: 0. */
  readonly padding?: number | undefined;
}

type PoolAttrs = { readonly [K in keyof PoolOptions]-?: number };

function pooledShape(x: Value, { kernel, stride, padding }: PoolAttrs): Shape {
  const [batch, channels, height, width] = shape4(x, "MaxPool");
  const size = (d: number) => Math.floor((d + 2 * padding - kernel) / stride) + 1;
  const shape = [batch, channels, size(height), size(width)];
  if (shape.some((d) => d < 1)) throw new RangeError(`MaxPool: [${x.shape}] is smaller than the window`);
  return shape;
}

// Saved for every element of the output: the flat index of the element of x that it came from.
const maxPoolOp = defineOp<readonly [Value], PoolAttrs, readonly [source: Value]>({
  name: "MaxPool",
  shape: ([x], attrs) => pooledShape(x, attrs),
  saved: ([x], attrs) => [{ shape: pooledShape(x, attrs), dtype: "i64" }],
  grad: ({ g, inputs: [x], saved: [source] }) => [scatterSum(g, source, x.shape)],
  onnx: (e, names, { kernel, stride, padding }) =>
    e.node({
      op: "MaxPool",
      inputs: names,
      outputs: 2,
      attributes: {
        kernel_shape: { ints: [kernel, kernel] },
        strides: { ints: [stride, stride] },
        pads: { ints: [padding, padding, padding, padding] },
      },
    }),
});

/** Maximum over windows.  x `[B,C,H,W]` -> `[B,C,H',W']`; the first of equal maxima gets the gradient. */
export function maxPool2d(x: Value, { kernel, stride, padding = 0 }: PoolOptions): Value {
  return maxPoolOp([x], { kernel, stride, padding });
}
