/** Softmax and layer normalisation. */
import { defineMultiOp, defineOp } from "../define-op.js";
import { dim, normalAxis } from "../shapes.js";
import type { Value } from "../value.js";
import { exp, mul, sub } from "./elementwise.js";
import { mean, sum } from "./reduce.js";

const softmaxOp = defineOp<readonly [Value], { axis: number }>({
  name: "Softmax",
  shape: ([x]) => x.shape,
  // dL/dx = y * (g - sum(g * y))
  grad: ({ g, y, attrs: { axis } }) => [mul(y, sub(g, sum(mul(g, y), { axes: [axis], keepDims: true })))],
  onnx: (e, names, { axis }) => e.op("Softmax", names, { axis: { i: axis } }),
});

/** Softmax along one axis: y = exp(x) / sum exp(x). */
export function softmax(x: Value, axis: number): Value {
  return softmaxOp([x], { axis: normalAxis("Softmax", x.shape.length, axis) });
}

const logSoftmaxOp = defineOp<readonly [Value], { axis: number }>({
  name: "LogSoftmax",
  shape: ([x]) => x.shape,
  // dL/dx = g - softmax(x) * sum(g)
  grad: ({ g, y, attrs: { axis } }) => [sub(g, mul(exp(y), sum(g, { axes: [axis], keepDims: true })))],
  onnx: (e, names, { axis }) => e.op("LogSoftmax", names, { axis: { i: axis } }),
});

/** log(softmax(x)) along one axis, without overflow. */
export function logSoftmax(x: Value, axis: number): Value {
  return logSoftmaxOp([x], { axis: normalAxis("LogSoftmax", x.shape.length, axis) });
}

// The second and third outputs are the mean and the inverse deviation, which the gradient needs.
const layerNormOp = defineMultiOp<readonly [Value, Value, Value], { epsilon: number }>({
  name: "LayerNormalization",
  outputs: ([x, weight, bias]) => {
    const width = dim(x, -1);
    for (const p of [weight, bias]) {
      if (p.shape.length !== 1 || dim(p, 0) !== width) {
        throw new RangeError(`LayerNormalization: [${p.shape}] does not fit the last axis of [${x.shape}]`);
      }
    }
    const row = { dtype: x.dtype, shape: [...x.shape.slice(0, -1), 1] };
    return [{ dtype: x.dtype, shape: x.shape }, row, row];
  },
  // With n = (x - mean) * inverse and h = g * weight:  dL/dx = inverse * (h - mean(h) - n * mean(h * n))
  grad: ({ gs: [g], ys: [, average, inverse], inputs: [x, weight] }) => {
    if (g === undefined || average === undefined || inverse === undefined) {
      throw new Error("LayerNormalization: only the first output has a gradient");
    }
    const n = mul(sub(x, average), inverse);
    const last = { axes: [-1], keepDims: true };
    const lead = { axes: x.shape.slice(0, -1).map((_, i) => i) };
    return [
      () => {
        const h = mul(g, weight);
        return mul(inverse, sub(sub(h, mean(h, last)), mul(n, mean(mul(h, n), last))));
      },
      () => sum(mul(g, n), lead),
      () => sum(g, lead),
    ];
  },
  onnx: (e, names, { epsilon }) =>
    e.multi("LayerNormalization", names, 3, { axis: { i: -1 }, epsilon: { f: epsilon } }),
});

/** Layer normalisation over the last axis.  x `[...,C]`, weight and bias `[C]`. */
export function layerNorm(x: Value, weight: Value, bias: Value, epsilon: number): Value {
  const [y] = layerNormOp([x, weight, bias], { epsilon });
  if (y === undefined) throw new Error("LayerNormalization: no output");
  return y;
}
