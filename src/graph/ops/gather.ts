/** Elements and rows by index, and the scatter that is the adjoint of gathering. */
import { type Shape, sizeOf } from "../../tensor.js";
import { defineOp } from "../define-op.js";
import { dim, sameShape } from "../shapes.js";
import type { Value } from "../value.js";
import { add, mul } from "./elementwise.js";
import { reshape } from "./layout.js";
import { constant } from "./leaves.js";
import { matmul } from "./matmul.js";

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

/** Elements of the vector `x` at the integer positions `index` (a vector). */
export function gather(x: Value, index: Value): Value {
  return gatherOp([x, index], {});
}

const gatherRowsOp = defineOp<readonly [Value, Value], Record<string, never>>({
  name: "Gather",
  shape: ([x, index]) => {
    if (x.shape.length !== 2) throw new RangeError(`Gather: expected a matrix of rows, got [${x.shape}]`);
    if (index.dtype !== "i32") throw new TypeError(`Gather: the index is ${index.dtype}, expected i32`);
    return [...index.shape, dim(x, 1)];
  },
  // Sums rows element by element: the runtime's scatter of rows adds on several threads without a lock.
  grad: ({ g, inputs: [x, index] }) => [() => scatterSum(g, elementsOfRows(index, dim(x, 1)), x.shape), null],
  onnx: (e, names) => e.op("Gather", names, { axis: { i: 0 } }),
});

/** Rows of `x` `[R,D]` at the positions `index` `i32[...]`, each at least 0 and below R -> `[...,D]`. */
export function gatherRows(x: Value, index: Value): Value {
  return gatherRowsOp([x, index], {});
}

const weightedRowsOp = defineOp<readonly [x: Value, index: Value, weights: Value], Record<string, never>>({
  name: "WeightedRows",
  shape: ([x, index, weights]) => {
    if (x.shape.length !== 2)
      throw new RangeError(`WeightedRows: expected a matrix of rows, got [${x.shape}]`);
    if (index.dtype !== "i32") throw new TypeError(`WeightedRows: the index is ${index.dtype}, expected i32`);
    if (index.shape.length !== 2 || !sameShape(index.shape, weights.shape)) {
      throw new RangeError(`WeightedRows: weights [${weights.shape}] do not fit the index [${index.shape}]`);
    }
    return [dim(index, 0), dim(x, 1)];
  },
  grad: ({ g, inputs: [x, index, weights] }) => {
    const [count, each, width] = [dim(index, 0), dim(index, 1), dim(x, 1)];
    return [
      () => {
        const shares = mul(reshape(weights, [count, each, 1]), reshape(g, [count, 1, width])); // [B,K,D]
        return scatterSum(shares, elementsOfRows(index, width), x.shape);
      },
      null,
      () => reshape(matmul(gatherRows(x, index), reshape(g, [count, width, 1])), [count, each]),
    ];
  },
  onnx: (e, [x, index, weights], _, [, shape]) => {
    const [count, each] = [dim(shape, 0), dim(shape, 1)];
    // Another name of axis 0: an equal node would be merged with the gather in the gradient, and its many rows kept.
    const rows = e.op("Gather", [x, index], { axis: { i: -2 } }); // [B,K,D]
    const sums = e.op("MatMul", [e.op("Reshape", [weights, e.ints([count, 1, each])]), rows]); // [B,1,D]
    return e.op("Reshape", [sums, e.ints([count, -1])]);
  },
});

/**
 * Weighted sums of rows: y_b = sum over k of weights_bk x[index_bk].  x `[R,D]`, index `i32[B,K]` (inside), weights
 * `[B,K]` -> `[B,D]`. The gradient gathers the rows again instead of keeping them.
 */
export function weightedRows(x: Value, index: Value, weights: Value): Value {
  return weightedRowsOp([x, index, weights], {});
}

/** Flat positions of the elements of rows of `width`: index `i32[...]` -> `i32[...,width]`. */
function elementsOfRows(index: Value, width: number): Value {
  const columns = Int32Array.from({ length: width }, (_, i) => i);
  const first = reshape(mul(index, width), [...index.shape, 1]);
  return add(first, constant({ dtype: "i32", shape: [width], data: columns }));
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

/** 1 at the class index, else 0.  index `i64[...]` -> `f32[...,depth]`; an index of `depth` or more gives zeros. */
export function oneHot(index: Value, depth: number): Value {
  return oneHotOp([index], { depth });
}
