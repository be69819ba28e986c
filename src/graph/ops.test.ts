/**
 * The contract of every op: the inferred shape is the runtime's, equal ones with and without
 * contrib operators, and the gradient is the directional central difference. An op without a case fails.
 */
import assert from "node:assert/strict";
import test, { after } from "node:test";
import { Random } from "../random.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { asF32, type Shape, sizeOf, type Tensor } from "../tensor.js";
import * as g from "./index.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());

interface Case {
  readonly op: string;
  /** Shapes of the f32 inputs; `low` and `high` bound their values. */
  readonly shapes: readonly Shape[];
  readonly low?: number;
  readonly high?: number;
  readonly build: (...xs: g.Value[]) => g.Value;
  /** Indices of inputs that carry a gradient; all unless told. */
  readonly wrt?: readonly number[];
}

const index = (values: readonly number[], shape: Shape = [values.length]) =>
  g.constant({ dtype: "i64", shape, data: BigInt64Array.from(values, (v) => BigInt(v)) });
const first = (x: g.Value | undefined): g.Value => {
  if (x === undefined) throw new Error("case: missing input");
  return x;
};
const two = (f: (a: g.Value, b: g.Value) => g.Value) => (a?: g.Value, b?: g.Value) => f(first(a), first(b));

const unaryCases: Case[] = [
  { op: "Neg", f: g.neg },
  { op: "Exp", f: g.exp },
  { op: "Log", f: g.log, low: 0.5, high: 2 },
  { op: "Sqrt", f: g.sqrt, low: 0.5, high: 2 },
  { op: "Abs", f: g.abs },
  { op: "Erf", f: g.erf },
  { op: "Tanh", f: g.tanh },
  { op: "Sigmoid", f: g.sigmoid },
  { op: "Softplus", f: g.softplus },
  { op: "Relu", f: g.relu },
  { op: "Gelu", f: g.gelu, low: -4, high: 4 },
].map(({ op, f, ...range }) => ({ op, shapes: [[3, 5]], build: (x) => f(first(x)), ...range }));

const cases: Case[] = [
  ...unaryCases,
  { op: "Sign", shapes: [[4]], build: (x) => g.sign(first(x)), wrt: [] },
  // The gradient is that of the fraction x - floor(x), which is 1.
  { op: "Floor", shapes: [[6]], low: -3, high: 3, build: (x) => g.sub(first(x), g.floor(first(x))) },
  { op: "Round", shapes: [[4]], low: -3, high: 3, build: (x) => g.round(first(x)), wrt: [] },
  {
    op: "Add",
    shapes: [
      [2, 3, 4],
      [3, 1],
    ],
    build: two(g.add),
  },
  {
    op: "Sub",
    shapes: [
      [3, 1],
      [2, 3, 4],
    ],
    build: two(g.sub),
  },
  { op: "Mul", shapes: [[2, 3, 4], [4]], build: two(g.mul) },
  {
    op: "Div",
    shapes: [
      [2, 3],
      [2, 1],
    ],
    low: 0.5,
    high: 2,
    build: two(g.div),
  },
  {
    op: "Max",
    shapes: [
      [3, 4],
      [3, 4],
    ],
    build: two(g.maximum),
  },
  {
    op: "Min",
    shapes: [
      [3, 4],
      [3, 4],
    ],
    build: two(g.minimum),
  },
  { op: "Less", shapes: [[5], [5]], build: two((a, b) => g.cast(g.less(a, b), "f32")), wrt: [] },
  { op: "Greater", shapes: [[5], [5]], build: two((a, b) => g.cast(g.greater(a, b), "f32")), wrt: [] },
  { op: "Equal", shapes: [[5], [5]], build: two((a, b) => g.cast(g.equal(a, b), "f32")), wrt: [] },
  {
    op: "BitwiseXor",
    shapes: [[5]],
    build: (x) => {
      const bits = g.bitwiseXor(g.cast(g.mul(first(x), 1000), "i32"), g.scalar(12345, "i32"));
      return g.cast(bits, "f32");
    },
    wrt: [],
  },
  {
    op: "Where",
    shapes: [[2, 3], [3], [2, 1]],
    build: (c, a, b) => g.where(g.greater(first(c), 0), first(a), first(b)),
    wrt: [1, 2],
  },
  { op: "Cast", shapes: [[4]], build: (x) => g.cast(g.cast(first(x), "i32"), "f32"), wrt: [] },
  { op: "Clip", shapes: [[20]], low: -2, high: 2, build: (x) => g.clip(first(x), -1, 1) },
  { op: "Reshape", shapes: [[2, 6]], build: (x) => g.reshape(first(x), [3, -1]) },
  { op: "Transpose", shapes: [[2, 3, 4]], build: (x) => g.transpose(first(x), [2, 0, 1]) },
  { op: "Expand", shapes: [[3, 1]], build: (x) => g.expand(first(x), [2, 3, 4]) },
  {
    op: "Slice",
    shapes: [[7, 6]],
    build: (x) =>
      g.slice(first(x), [
        { axis: 0, start: 1, end: 7, step: 3 },
        { axis: 1, start: 5, end: -1, step: -2 },
      ]),
  },
  {
    op: "Pad",
    shapes: [[2, 3]],
    build: (x) =>
      g.pad(first(x), [
        { axis: 0, before: 1, after: 2 },
        { axis: 1, before: 2, after: -1 },
      ]),
  },
  {
    op: "Concat",
    shapes: [
      [2, 3],
      [2, 1],
      [2, 2],
    ],
    build: (...xs) => g.concat(xs, 1),
  },
  { op: "ReduceSum", shapes: [[2, 3, 4]], build: (x) => g.sum(first(x), { axes: [0, 2] }) },
  { op: "ReduceMean", shapes: [[2, 3, 4]], build: (x) => g.mean(first(x), { axes: [-1], keepDims: true }) },
  { op: "ReduceMax", shapes: [[2, 3, 4]], build: (x) => g.max(first(x), { axes: [1, 2] }) },
  {
    op: "MatMul",
    shapes: [
      [2, 3, 4],
      [4, 5],
    ],
    build: two(g.matmul),
  },
  ...[
    { transA: true, a: [2, 4, 3], b: [2, 4, 5] },
    { transB: true, a: [2, 3, 4], b: [5, 4] },
    { transA: true, transB: true, alpha: 0.5, a: [4, 3], b: [2, 5, 4] },
  ].map(
    ({ a, b, ...options }): Case => ({
      op: "MatMul",
      shapes: [a, b],
      build: two((x, y) => g.matmul(x, y, options)),
    }),
  ),
  { op: "Gemm", shapes: [[2, 3, 4], [5, 4], [5]], build: (x, w, b) => g.affine(first(x), first(w), b) },
  {
    op: "Gemm",
    shapes: [
      [3, 4],
      [5, 4],
    ],
    build: (x, w) => g.affine(first(x), first(w)),
  },
  { op: "Softmax", shapes: [[2, 3, 4]], build: (x) => g.softmax(first(x), 1) },
  { op: "LogSoftmax", shapes: [[2, 3, 4]], build: (x) => g.logSoftmax(first(x), 1) },
  {
    op: "LayerNormalization",
    shapes: [[2, 3, 8], [8], [8]],
    build: (x, w, b) => g.layerNorm(first(x), first(w), first(b), 1e-5),
  },
  {
    op: "GroupNormalization",
    shapes: [[2, 6, 3, 4], [6], [6]],
    build: (x, w, b) => g.groupNorm(first(x), first(w), first(b), { groups: 3, epsilon: 1e-5 }),
  },
  {
    op: "Conv",
    shapes: [
      [2, 3, 6, 5],
      [4, 3, 3, 3],
    ],
    build: two((x, w) => g.conv2d(x, w, undefined, { padding: 1 })),
  },
  {
    op: "ConvBias",
    shapes: [[2, 3, 7, 8], [4, 3, 3, 3], [4]],
    build: (x, w, b) => g.conv2d(first(x), first(w), b, { stride: 2, padding: 1 }),
  },
  {
    op: "Conv",
    shapes: [
      [2, 4, 5, 5],
      [4, 1, 3, 3],
    ],
    build: two((x, w) => g.conv2d(x, w, undefined, { padding: 1, groups: 4 })),
  },
  {
    op: "Conv",
    shapes: [
      [2, 4, 6, 5],
      [4, 1, 3, 3],
    ],
    build: two((x, w) => g.conv2d(x, w, undefined, { stride: 2, padding: 1, groups: 4 })),
  },
  {
    op: "Conv",
    shapes: [
      [1, 4, 5, 5],
      [6, 2, 3, 3],
    ],
    build: two((x, w) => g.conv2d(x, w, undefined, { stride: 2, groups: 2 })),
  },
  {
    op: "Conv",
    shapes: [
      [1, 2, 9, 9],
      [3, 2, 7, 7],
    ],
    build: two((x, w) => g.conv2d(x, w, undefined, { stride: 4, padding: 3 })),
  },
  {
    op: "Conv",
    shapes: [
      [2, 4, 7, 6],
      [6, 2, 3, 3],
    ],
    build: two((x, w) => g.conv2d(x, w, undefined, { padding: 2, dilation: 2, groups: 2 })),
  },
  {
    op: "ConvBias",
    shapes: [[1, 2, 4, 5], [3, 2, 3, 3], [3]],
    build: (x, w, b) => g.conv2d(first(x), first(w), b, { padding: 6, dilation: 6 }),
  },
  {
    op: "Conv",
    shapes: [
      [1, 2, 9, 8],
      [3, 2, 3, 3],
    ],
    build: two((x, w) => g.conv2d(x, w, undefined, { stride: 2, padding: 1, dilation: 3 })),
  },
  {
    op: "ConvTranspose",
    shapes: [
      [2, 4, 3, 4],
      [4, 3, 3, 3],
    ],
    build: two((x, w) => g.convTranspose2d(x, w, { stride: 2, padding: 1, height: 6, width: 7 })),
  },
  { op: "MaxPool", shapes: [[2, 2, 4, 6]], build: (x) => g.maxPool2d(first(x), { kernel: 2, stride: 2 }) },
  {
    op: "MaxPool",
    shapes: [[1, 2, 7, 7]],
    build: (x) => g.maxPool2d(first(x), { kernel: 3, stride: 2, padding: 1 }),
  },
  { op: "ScatterElements", shapes: [[4]], build: (x) => g.scatterSum(first(x), index([5, 0, 5, 2]), [2, 3]) },
  {
    op: "Gather",
    shapes: [[4, 3]],
    build: (x) => g.gatherRows(first(x), g.cast(index([3, 0, 3, 2, 1, 3], [2, 3]), "i32")),
  },
  { op: "GatherElements", shapes: [[6]], build: (x) => g.gather(first(x), index([5, 0, 5, 2])) },
  {
    op: "OneHot",
    shapes: [[3, 4]],
    build: (x) => g.mul(first(x), g.oneHot(index([2, 0, 3]), 4)),
  },
  ...(["nearest", "bilinear", "bilinear-corners"] as const).flatMap((mode) =>
    [
      { height: 8, width: 12 },
      { height: 3, width: 2 },
      { height: 7, width: 5 },
    ].map(
      (size): Case => ({
        op: "Resize",
        shapes: [[2, 2, 4, 6]],
        build: (x) => g.resize(first(x), { mode, ...size }),
      }),
    ),
  ),
];

test("every op has a case", () => {
  const leaves = ["constant", "input", "parameter"];
  const covered = new Set(cases.map((c) => c.op));
  assert.deepEqual(
    g.opNames().filter((name) => !covered.has(name) && !leaves.includes(name)),
    [],
  );
});

const step = 1e-3;

cases.forEach((c, number) => {
  test(`${c.op} (case ${number}): shape, targets and gradient`, async () => {
    const random = new Random(number, 7);
    const draw = (shape: Shape, low = -1, high = 1): Tensor => ({
      dtype: "f32",
      shape,
      data: Float32Array.from({ length: sizeOf(shape) }, () => random.uniform(low, high)),
    });
    const xs = c.shapes.map((shape, i) => g.parameter(`x${i}`, shape));
    const values = c.shapes.map((shape) => draw(shape, c.low, c.high));
    const y = c.build(...xs);
    const seed = g.input("seed", y.shape);
    const wrt = c.wrt ?? xs.map((_, i) => i);
    const wanted = wrt.map((i) => first(xs[i]));
    const outputs: Record<string, g.Value> = { y };
    g.gradients([{ y, seed }], wanted).forEach((dx, k) => {
      outputs[`d${wrt[k]}`] = dx;
    });
    const fed = new Set(xs.map((_, i) => `x${i}`));
    const feeds = (at: readonly Tensor[]) => Object.fromEntries(at.map((t, i) => [`x${i}`, t]));
    const seedValue = draw(y.shape);

    const forward = await runtime.createSession({ graph: g.emitOnnx({ y }, { fed }), weights: new Map() });
    const yAt = async (at: readonly Tensor[]) => {
      const { y: out } = await forward.run(feeds(at));
      assert.ok(out !== undefined);
      return asF32(out, "y");
    };
    const base = await yAt(values);
    assert.deepEqual(base.shape, y.shape);

    const plain = await runtime.createSession({
      graph: g.emitOnnx(outputs, { fed, target: { contrib: false } }),
      weights: new Map(),
    });
    const seeds = wrt.length > 0 ? { seed: seedValue } : {};
    const results = await plain.run({ ...feeds(values), ...seeds });
    assert.ok(results.y !== undefined);
    assertAllClose(asF32(results.y, "y").data, base.data);

    const objective = (t: Tensor) => {
      let total = 0;
      t.data.forEach((v: number | bigint, k: number) => {
        total += Number(v) * Number(seedValue.data[k]);
      });
      return total;
    };
    for (const i of wrt) {
      const value = first2(values[i]);
      const direction = draw(value.shape);
      const moved = (sign: number) =>
        values.map((t, k) =>
          k === i
            ? { ...value, data: value.data.map((v, e) => v + sign * step * Number(direction.data[e])) }
            : t,
        );
      const numeric = (objective(await yAt(moved(1))) - objective(await yAt(moved(-1)))) / (2 * step);
      const analytic = asF32(results[`d${i}`] ?? base, "gradient");
      assert.deepEqual(analytic.shape, value.shape);
      const symbolic = analytic.data.reduce((total, v, e) => total + v * Number(direction.data[e]), 0);
      const scale = Math.max(1, Math.abs(numeric), Math.sqrt(base.data.length));
      assert.ok(Math.abs(symbolic - numeric) < 3e-3 * scale, `d${i}: ${symbolic}, numerically ${numeric}`);
    }
    await forward.close();
    await plain.close();
  });
});

function first2(t: Tensor | undefined) {
  if (t === undefined) throw new Error("case: missing value");
  return asF32(t, "case");
}

function assertAllClose(actual: Float32Array, expected: Float32Array): void {
  expected.forEach((v, i) => {
    assert.ok(Math.abs((actual[i] ?? Number.NaN) - v) <= 1e-5 * Math.max(1, Math.abs(v)), `element ${i}`);
  });
}
