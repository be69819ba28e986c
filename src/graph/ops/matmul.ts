/** Matrix products. */
import { defineOp } from "../define-op.js";
import { broadcastShapes, dim } from "../shapes.js";
import type { Value } from "../value.js";
import { reshape } from "./layout.js";
import { sum } from "./reduce.js";

/** Options of `matmul`: y = alpha * a b, with the last two axes of a or b transposed first. */
export interface MatmulOptions {
  /** Default: false. */
  readonly transA?: boolean | undefined;
  /** Default: false. */
  readonly transB?: boolean | undefined;
  /** Default: 1. */
  readonly alpha?: number | undefined;
}

type MatmulAttrs = { readonly transA: boolean; readonly transB: boolean; readonly alpha: number };

const matmulOp = defineOp<readonly [Value, Value], MatmulAttrs>({
  name: "MatMul",
  shape: ([a, b], { transA, transB }) => {
    const [m, k] = transA ? [dim(a, -1), dim(a, -2)] : [dim(a, -2), dim(a, -1)];
    const [k2, n] = transB ? [dim(b, -1), dim(b, -2)] : [dim(b, -2), dim(b, -1)];
    if (k !== k2) {
      throw new RangeError(
        `MatMul: [${a.shape}]${transA ? "^T" : ""} by [${b.shape}]${transB ? "^T" : ""}: ${k} is not ${k2}`,
      );
    }
    return [...broadcastShapes("MatMul", a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n];
  },
  grad: ({ g, inputs: [a, b], attrs: { transA, transB, alpha } }) => [
    () =>
      transA
        ? matmul(b, g, { transA: transB, transB: true, alpha })
        : matmul(g, b, { transB: !transB, alpha }),
    () =>
      transB
        ? matmul(g, a, { transA: true, transB: transA, alpha })
        : matmul(a, g, { transA: !transA, alpha }),
  ],
  onnx: (e, [a, b], { transA, transB, alpha }, inputs) => {
    if (e.target.contrib && (transA || transB || alpha !== 1)) {
      return e.node({
        op: "FusedMatMul",
        domain: "com.microsoft",
        inputs: [a, b],
        attributes: { transA: { i: transA ? 1 : 0 }, transB: { i: transB ? 1 : 0 }, alpha: { f: alpha } },
      });
    }
    const swapLast = (name: string, rank: number) =>
      e.op("Transpose", [name], {
        perm: { ints: Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i)) },
      });
    const left = transA ? swapLast(a, inputs[0].shape.length) : a;
    const right = transB ? swapLast(b, inputs[1].shape.length) : b;
    const y = e.op("MatMul", [left, right]);
    return alpha === 1 ? y : e.op("Mul", [y, e.scalar(alpha)]);
  },
});

/** Batched matrix product of the last two axes; leading axes broadcast. */
export function matmul(a: Value, b: Value, options: MatmulOptions = {}): Value {
  const { transA = false, transB = false, alpha = 1 } = options;
  return matmulOp([a, b], { transA, transB, alpha });
}

const gemmOp = defineOp<readonly [x: Value, w: Value, ...bias: Value[]], Record<string, never>>({
  name: "Gemm",
  shape: ([x, w, b]) => {
    if (x.shape.length !== 2 || w.shape.length !== 2 || dim(x, 1) !== dim(w, 1)) {
      throw new RangeError(`Gemm: x [${x.shape}] does not fit weights [${w.shape}]`);
    }
    if (b !== undefined && (b.shape.length !== 1 || dim(b, 0) !== dim(w, 0))) {
      throw new RangeError(`Gemm: bias [${b.shape}] does not fit weights [${w.shape}]`);
    }
    return [dim(x, 0), dim(w, 0)];
  },
  grad: ({ g, inputs: [x, w] }) => [
    () => matmul(g, w),
    () => matmul(g, x, { transA: true }),
    () => sum(g, { axes: [0] }),
  ],
  onnx: (e, names) => e.op("Gemm", names, { transB: { i: 1 } }),
});

/** y = x w^T + b over the last axis.  x `[...,in]`, w `[out,in]`, b `[out]` -> `[...,out]`. */
export function affine(x: Value, w: Value, b?: Value): Value {
  const rows = reshape(x, [-1, dim(x, -1)]);
  const y = gemmOp(b === undefined ? [rows, w] : [rows, w, b], {});
  return reshape(y, [...x.shape.slice(0, -1), dim(w, 0)]);
}
