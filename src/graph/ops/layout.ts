/** Ops that move elements without computing: reshape, transpose, expand, slice, pad, concat. */
import { at } from "../../arrays.js";
import { type Shape, sizeOf } from "../../tensor.js";
import { defineOp } from "../define-op.js";
import { broadcastShapes, dim, dimOf, normalAxis, sameShape } from "../shapes.js";
import type { Value } from "../value.js";

const reshapeOp = defineOp<readonly [Value], { shape: Shape }>({
  name: "Reshape",
  shape: ([x], { shape }) => {
    if (sizeOf(x.shape) !== sizeOf(shape)) {
      throw new RangeError(`Reshape: [${x.shape}] does not fill [${shape}]`);
    }
    return shape;
  },
  grad: ({ g, inputs: [x] }) => [reshape(g, x.shape)],
  onnx: (e, [x], { shape }) => e.op("Reshape", [x, e.ints(shape)]),
});

/** The same elements in another shape. One size may be -1: it is inferred from the number of elements. */
export function reshape(x: Value, shape: Shape): Value {
  const known = sizeOf(shape.filter((d) => d !== -1));
  const full = shape.map((d) => (d === -1 ? sizeOf(x.shape) / known : d));
  if (sameShape(full, x.shape)) return x;
  return reshapeOp([x], { shape: full });
}

const transposeOp = defineOp<readonly [Value], { perm: readonly number[] }>({
  name: "Transpose",
  shape: ([x], { perm }) => {
    if (perm.length !== x.shape.length || new Set(perm).size !== perm.length) {
      throw new RangeError(`Transpose: [${perm}] does not permute the axes of [${x.shape}]`);
    }
    return perm.map((axis) => dim(x, axis));
  },
  grad: ({ g, attrs: { perm } }) => [
    transpose(
      g,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ],
  onnx: (e, names, { perm }) => e.op("Transpose", names, { perm: { ints: perm } }),
});

/** Axis `i` of the result is axis `perm[i]` of `x`. */
export function transpose(x: Value, perm: readonly number[]): Value {
  return perm.every((axis, i) => axis === i) ? x : transposeOp([x], { perm });
}

const expandOp = defineOp<readonly [Value], { shape: Shape }>({
  name: "Expand",
  shape: ([x], { shape }) => {
    if (!sameShape(broadcastShapes("Expand", x.shape, shape), shape)) {
      throw new RangeError(`Expand: [${x.shape}] does not expand to [${shape}]`);
    }
    return shape;
  },
  // The reverse walk sums the gradient back to x's shape.
  grad: ({ g }) => [g],
  onnx: (e, [x], { shape }) => e.op("Expand", [x, e.ints(shape)]),
});

/** Repeats axes of size 1 (and new leading ones) up to `shape`. */
export function expand(x: Value, shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : expandOp([x], { shape });
}

/** Start, end (exclusive) and step along one axis. A negative step walks backwards from `start`, down to an `end` of -1. */
export interface SliceRange {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  /** Default: 1. */
  readonly step?: number | undefined;
}

type FullRange = { readonly [K in keyof SliceRange]-?: number };

const sliceOp = defineOp<readonly [Value], { ranges: readonly FullRange[] }>({
  name: "Slice",
  shape: ([x], { ranges }) => {
    const shape = [...x.shape];
    for (const { axis, start, end, step } of ranges) {
      const size = dim(x, axis);
      if (step > 0 ? start < 0 || end > size || start >= end : start >= size || end < -1 || start <= end) {
        throw new RangeError(`Slice: ${start}..${end} by ${step} outside axis ${axis} of [${x.shape}]`);
      }
      shape[axis] = Math.ceil((end - start) / step);
    }
    return shape;
  },
  grad: ({ g, inputs: [x], attrs: { ranges } }) => [unslice(g, x.shape, ranges)],
  onnx: (e, [x], { ranges }) =>
    e.op("Slice", [
      x,
      e.ints(ranges.map((r) => r.start)),
      // Walking backwards to the first element ends before index 0, which ONNX writes as a large negative.
      e.ints(ranges.map((r) => (r.end < 0 ? -(2 ** 31) : r.end))),
      e.ints(ranges.map((r) => r.axis)),
      e.ints(ranges.map((r) => r.step)),
    ]),
});

/** Part of `x` along the given axes. */
export function slice(x: Value, ranges: readonly SliceRange[]): Value {
  const full = ranges.map((r) => ({
    ...r,
    axis: normalAxis("Slice", x.shape.length, r.axis),
    step: r.step ?? 1,
  }));
  const whole = full.every((r) => r.step === 1 && r.start === 0 && r.end === dim(x, r.axis));
  return whole ? x : sliceOp([x], { ranges: full });
}

/** Reverses `x` along the given axes. */
export function reverse(x: Value, axes: readonly number[]): Value {
  return slice(
    x,
    axes.map((axis) => ({ axis, start: dim(x, axis) - 1, end: -1, step: -1 })),
  );
}

/** The adjoint of `slice`: zeros of `shape` with `g` at the sliced positions. */
function unslice(g: Value, shape: Shape, ranges: readonly FullRange[]): Value {
  let out = g;
  for (const { axis, start, step } of ranges) {
    const count = dim(out, axis);
    const stride = Math.abs(step);
    if (step < 0) out = reverse(out, [axis]);
    if (stride > 1) out = dilate(out, axis, stride);
    const first = step > 0 ? start : start + (count - 1) * step;
    const after = dimOf(shape, axis) - first - dim(out, axis);
    out = pad(out, [{ axis, before: first, after }]);
  }
  return out;
}

/** Inserts `stride - 1` zeros between neighbors along `axis`. */
function dilate(x: Value, axis: number, stride: number): Value {
  if (stride === 1) return x;
  const spread = reshape(x, [...x.shape.slice(0, axis + 1), 1, ...x.shape.slice(axis + 1)]);
  const padded = pad(spread, [{ axis: axis + 1, before: 0, after: stride - 1 }]);
  const merged = x.shape.map((d, i) => (i === axis ? d * stride : d));
  return slice(reshape(padded, merged), [{ axis, start: 0, end: (dim(x, axis) - 1) * stride + 1 }]);
}

/** Number of zeros added before and after along an axis; negative numbers crop. */
export interface AxisPadding {
  readonly axis: number;
  readonly before: number;
  readonly after: number;
}

const padOp = defineOp<readonly [Value], { before: readonly number[]; after: readonly number[] }>({
  name: "Pad",
  shape: ([x], { before, after }) => {
    const shape = x.shape.map((d, i) => d + at(before, i) + at(after, i));
    if (shape.some((d) => d < 1)) throw new RangeError(`Pad: nothing remains of [${x.shape}]`);
    return shape;
  },
  grad: ({ g, attrs: { before, after } }) => [
    pad(
      g,
      before.map((b, axis) => ({ axis, before: -b, after: -at(after, axis) })),
    ),
  ],
  onnx: (e, [x], { before, after }) => e.op("Pad", [x, e.ints([...before, ...after])]),
});

/** Adds zeros around `x`, or crops it. */
export function pad(x: Value, paddings: readonly AxisPadding[]): Value {
  const before = x.shape.map(() => 0);
  const after = x.shape.map(() => 0);
  for (const p of paddings) {
    before[p.axis] = p.before;
    after[p.axis] = p.after;
  }
  return [...before, ...after].every((n) => n === 0) ? x : padOp([x], { before, after });
}

const concatOp = defineOp<readonly Value[], { axis: number }>({
  name: "Concat",
  shape: (xs, { axis }) => {
    const [first] = xs;
    if (first === undefined) throw new RangeError("Concat: nothing to join");
    for (const x of xs) {
      if (
        x.shape.length !== first.shape.length ||
        x.shape.some((d, i) => i !== axis && d !== first.shape[i])
      ) {
        throw new RangeError(`Concat: [${x.shape}] does not join [${first.shape}] along axis ${axis}`);
      }
    }
    return first.shape.map((d, i) => (i === axis ? xs.reduce((n, x) => n + dim(x, axis), 0) : d));
  },
  grad: ({ g, inputs, attrs: { axis } }) => {
    let start = 0;
    return inputs.map((x) => {
      const range = { axis, start, end: start + dim(x, axis) };
      start = range.end;
      return () => slice(g, [range]);
    });
  },
  onnx: (e, names, { axis }) => e.op("Concat", names, { axis: { i: axis } }),
});

/** Joins tensors along an axis. */
export function concat(xs: readonly Value[], axis: number): Value {
  const [only] = xs;
  if (only !== undefined && xs.length === 1) return only;
  return concatOp(xs, { axis: normalAxis("Concat", only?.shape.length ?? 0, axis) });
}

/** Splits `x` into pieces of the given sizes along an axis: as many as there are sizes. */
export function split<const S extends readonly number[]>(
  x: Value,
  axis: number,
  sizes: S,
): { readonly [I in keyof S]: Value };
export function split(x: Value, axis: number, sizes: readonly number[]): readonly Value[] {
  let start = 0;
  return sizes.map((size) => {
    const range = { axis, start, end: start + size };
    start += size;
    return slice(x, [range]);
  });
}
