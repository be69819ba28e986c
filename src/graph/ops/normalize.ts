/** Softmax, layer normalization and group normalization. */
import { full } from "../../tensor.js";
import { defineOp } from "../define-op.js";
import type { Emitter } from "../onnx/emitter.js";
import { dim, normalAxis, shape4 } from "../shapes.js";
import type { Value, ValueType } from "../value.js";
import { add, div, exp, mul, sqrt, sub } from "./elementwise.js";
import { reshape } from "./layout.js";
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

type NormInputs = readonly [x: Value, weight: Value, bias: Value];
type RowStatistics = readonly [average: Value, inverseDeviation: Value];

const layerNormOp = defineOp<NormInputs, { epsilon: number }, RowStatistics>({
  name: "LayerNormalization",
  shape: ([x, weight, bias]) => {
    const width = dim(x, -1);
    for (const p of [weight, bias]) {
      if (p.shape.length !== 1 || dim(p, 0) !== width) {
        throw new RangeError(`LayerNormalization: [${p.shape}] does not fit the last axis of [${x.shape}]`);
      }
    }
    return x.shape;
  },
  saved: ([x]) => {
    const row: ValueType = { dtype: x.dtype, shape: [...x.shape.slice(0, -1), 1] };
    return [row, row];
  },
  // With n = (x - mean) * inverse and h = g * weight:  dL/dx = inverse * (h - mean(h) - n * mean(h * n))
  grad: ({ g, inputs: [x, weight], saved: [average, inverse] }) => {
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
    e.node({
      op: "LayerNormalization",
      inputs: names,
      outputs: 3,
      attributes: { axis: { i: -1 }, epsilon: { f: epsilon } },
    }),
});

/** Layer normalization (Ba et al. 2016) over the last axis.  x `[...,C]`, weight and bias `[C]`. */
export function layerNorm(x: Value, weight: Value, bias: Value, epsilon: number): Value {
  return layerNormOp([x, weight, bias], { epsilon });
}

/** Options of `groupNorm`. */
export interface GroupNormOptions {
  readonly groups: number;
  readonly epsilon: number;
}

type GroupNormAttrs = { readonly [K in keyof GroupNormOptions]: number };

/** How the values of a group are laid out: rows of `width` values. */
interface GroupLayout {
  /** Batch and groups. */
  readonly groups: readonly [number, number];
  readonly rows: number;
  readonly width: number;
  readonly epsilon: number;
}

/** Values of a group up to which ONNX Runtime's kernel is exact enough: it adds them one by one. */
const maxInstance = 2 ** 17;

function normalizedInstance(e: Emitter, x: string, { groups, epsilon }: GroupLayout): string {
  const units = [1, 0].map((value) => e.constant(full([groups[1]], value)));
  const perGroup = e.op("Reshape", [x, e.ints([...groups, -1])]);
  return e.op("InstanceNormalization", [perGroup, ...units], { epsilon: { f: epsilon } });
}

/** The same by the means of rows, then the mean of those: sums of 1.6 million values lose three digits in WebAssembly. */
function normalizedLarge(e: Emitter, x: string, { groups, rows, width, epsilon }: GroupLayout): string {
  const meanOf = (values: string): string =>
    e.op("ReduceMean", [e.op("ReduceMean", [values, e.ints([3])]), e.ints([2])]);
  const perGroup = e.op("Reshape", [x, e.ints([...groups, rows, width])]);
  const centered = e.op("Sub", [perGroup, meanOf(perGroup)]);
  const variance = meanOf(e.op("Mul", [centered, centered]));
  const deviation = e.op("Sqrt", [e.op("Add", [variance, e.scalar(epsilon)])]);
  return e.op("Div", [centered, deviation]);
}

const groupNormOp = defineOp<NormInputs, GroupNormAttrs>({
  name: "GroupNormalization",
  shape: ([x, weight, bias], { groups }) => {
    const [, channels] = shape4(x, "GroupNormalization");
    if (channels % groups !== 0) {
      throw new RangeError(`GroupNormalization: ${channels} channels are not a multiple of ${groups} groups`);
    }
    for (const p of [weight, bias]) {
      if (p.shape.length !== 1 || dim(p, 0) !== channels) {
        throw new RangeError(`GroupNormalization: [${p.shape}] does not fit the channels of [${x.shape}]`);
      }
    }
    return x.shape;
  },
  // As for layer normalization, with groups in place of rows: dL/dx = inverse * (h - mean(h) - n * mean(h * n)), h = g * weight
  grad: ({ g, inputs: [x, weight], attrs: { groups, epsilon } }) => {
    const [batch, channels, height, width] = shape4(x, "GroupNormalization");
    const grouped = (v: Value): Value => reshape(v, [batch, groups, -1]);
    const last = { axes: [-1], keepDims: true };
    const centered = sub(grouped(x), mean(grouped(x), last));
    const inverse = div(1, sqrt(add(mean(mul(centered, centered), last), epsilon)));
    const n = mul(centered, inverse);
    const perChannel = { axes: [0, 2, 3] };
    return [
      () => {
        const h = grouped(mul(g, reshape(weight, [channels, 1, 1])));
        const dx = mul(inverse, sub(sub(h, mean(h, last)), mul(n, mean(mul(h, n), last))));
        return reshape(dx, x.shape);
      },
      () => sum(mul(g, reshape(n, [batch, channels, height, width])), perChannel),
      () => sum(g, perChannel),
    ];
  },
  // ONNX Runtime has no kernel of this name: each group is normalized as an instance, then every channel is scaled.
  onnx: (e, [x, weight, bias], { groups, epsilon }, [value]) => {
    const [batch, channels, height, width] = shape4(value, "GroupNormalization");
    const perGroup = (channels / groups) * height * width;
    const normalize = perGroup > maxInstance ? normalizedLarge : normalizedInstance;
    const n = normalize(e, x, {
      groups: [batch, groups],
      rows: (channels / groups) * height,
      width,
      epsilon,
    });
    const normal = e.op("Reshape", [n, e.ints([batch, channels, height, width])]);
    const perChannel = e.ints([channels, 1, 1]);
    const scaled = e.op("Mul", [normal, e.op("Reshape", [weight, perChannel])]);
    return e.op("Add", [scaled, e.op("Reshape", [bias, perChannel])]);
  },
});

/** Group normalization (Wu and He 2018): each group of neighboring channels of a sample.  x `[B,C,H,W]`, weight and bias `[C]` */
export function groupNorm(
  x: Value,
  weight: Value,
  bias: Value,
  { groups, epsilon }: GroupNormOptions,
): Value {
  return groupNormOp([x, weight, bias], { groups, epsilon });
}
