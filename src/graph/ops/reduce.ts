/** Reductions over axes. */
import type { Shape } from "../../tensor.js";
import { defineOp } from "../define-op.js";
import { dim, dimOf, normalAxis, sameShape } from "../shapes.js";
import type { Value } from "../value.js";
import { cast, div, equal, mul } from "./elementwise.js";
import { expand, reshape } from "./layout.js";

/** Options of reductions. */
export interface ReduceOptions {
  /** Axes to reduce; negative ones count from the end. Default: all. */
  readonly axes?: readonly number[] | undefined;
  /** Keep the reduced axes with size 1. Default: false. */
  readonly keepDims?: boolean | undefined;
}

type ReduceAttrs = { readonly axes: readonly number[]; readonly keepDims: boolean };
type ReduceRule = (c: { g: Value; y: Value; x: Value; count: number }) => Value;

/** `grad` receives g and y with the reduced axes kept as 1. */
function reduction(onnxOp: string, grad: ReduceRule): (x: Value, options?: ReduceOptions) => Value {
  const op = defineOp<readonly [Value], ReduceAttrs>({
    name: onnxOp,
    shape: ([x], { axes, keepDims }) =>
      x.shape.flatMap((d, i) => (!axes.includes(i) ? [d] : keepDims ? [1] : [])),
    grad: ({ g, y, inputs: [x], attrs: { axes } }) => {
      const kept = x.shape.map((d, i) => (axes.includes(i) ? 1 : d));
      const count = axes.reduce((n, axis) => n * dim(x, axis), 1);
      return [grad({ g: reshape(g, kept), y: reshape(y, kept), x, count })];
    },
    onnx: (e, [x], { axes, keepDims }) =>
      e.op(onnxOp, [x, e.ints(axes)], { keepdims: { i: keepDims ? 1 : 0 } }),
  });
  return (x, { axes = x.shape.map((_, i) => i), keepDims = false } = {}) => {
    const normal = axes.map((axis) => normalAxis(onnxOp, x.shape.length, axis)).sort((a, b) => a - b);
    return normal.length === 0 ? x : op([x], { axes: normal, keepDims });
  };
}

/** Sum over axes. */
export const sum: (x: Value, options?: ReduceOptions) => Value = reduction("ReduceSum", ({ g, x }) =>
  expand(g, x.shape),
);

/** Mean over axes. */
export const mean: (x: Value, options?: ReduceOptions) => Value = reduction("ReduceMean", ({ g, x, count }) =>
  expand(div(g, count), x.shape),
);

/** Maximum over axes; equal maxima share the gradient equally. */
export const max: (x: Value, options?: ReduceOptions) => Value = reduction("ReduceMax", ({ g, y, x }) => {
  const hits = cast(equal(x, y), "f32");
  const axes = x.shape.flatMap((d, i) => (d !== y.shape[i] ? [i] : []));
  return mul(hits, div(g, sum(hits, { axes, keepDims: true })));
});

/** Sums `x` over the axes along which `shape` was broadcast to it: the adjoint of `expand`. */
export function sumTo(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((d, i) => (i < lead || (dimOf(shape, i - lead) === 1 && d !== 1) ? [i] : []));
  return reshape(sum(x, { axes, keepDims: true }), shape);
}
