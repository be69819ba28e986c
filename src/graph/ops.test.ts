/**
 * The contract of every op: its values are PyTorch's or NumPy's, with and without contrib operators; its gradient is
 * PyTorch's, and the central difference of its values. An op without a case, or a case without expected values, fails.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test, { after } from "node:test";
import { z } from "zod";
import { referencePath } from "../../test/reference.js";
import { Random } from "../random.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import type { Session, Tensors } from "../runtime/runtime.js";
import { f32, full, type Shape, type Tensor } from "../tensor.js";
import * as g from "./index.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());

/** Inputs of a case and what is expected for them. */
interface Reference {
  readonly inputs: readonly Tensor[];
  readonly expect: Tensor;
  /** The gradient that flows into the output; random where the reference has none. */
  readonly seed?: Tensor | undefined;
  /** Expected gradients of the inputs; `null` for an input without one. */
  readonly gradients?: readonly (readonly number[] | null)[] | undefined;
}

interface Case {
  /** The op's application; inputs beyond those of the reference repeat the first. */
  readonly build: (a: g.Value, b: g.Value, c: g.Value) => g.Value;
  /** Inputs and expected values. Default: those of the case's name in `test/reference/ops.json`. */
  readonly reference?: Reference;
  /** Indices of the inputs that are differentiated. Default: all of `f32`. */
  readonly wrt?: readonly number[];
}

const ints = (dtype: "i32" | "i64", values: readonly number[], shape: Shape = [values.length]): Tensor =>
  dtype === "i32"
    ? { dtype, shape, data: Int32Array.from(values) }
    : { dtype, shape, data: BigInt64Array.from(values, BigInt) };
const bools = (values: readonly number[], shape: Shape = [values.length]): Tensor => ({
  dtype: "bool",
  shape,
  data: Uint8Array.from(values),
});

const [left, right] = [f32([1, 2, 3, -1], [4]), f32([2, 2, 2, -1.5], [4])];

/** By op, followed by what the case is about. Literal values are NumPy's, whose function is named. */
const cases: Readonly<Record<string, Case>> = {
  Neg: { build: g.neg },
  Exp: { build: g.exp },
  Log: { build: g.log },
  Sqrt: { build: g.sqrt },
  Abs: { build: g.abs },
  Floor: { build: g.floor },
  Erf: { build: g.erf },
  Tanh: { build: g.tanh },
  Sigmoid: { build: g.sigmoid },
  "Sigmoid: far from zero": { build: g.sigmoid, wrt: [] },
  Softplus: { build: g.softplus },
  "Softplus: far from zero": { build: g.softplus, wrt: [] },
  "Mul: SiLU": { build: g.silu },
  Relu: { build: g.relu },
  Gelu: { build: g.gelu },
  // np.sign
  Sign: {
    build: g.sign,
    reference: { inputs: [f32([-2.5, -0, 0, 0.25, 7], [5])], expect: f32([-1, 0, 0, 1, 1], [5]) },
    wrt: [],
  },
  // np.round: half to even
  Round: {
    build: g.round,
    reference: {
      inputs: [f32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4, 2.6], [2, 4])],
      expect: f32([-2, -2, 0, 0, 2, 2, 2, 3], [2, 4]),
    },
    wrt: [],
  },
  "Add: broadcast": { build: g.add },
  "Sub: broadcast": { build: g.sub },
  "Mul: broadcast": { build: g.mul },
  "Div: broadcast": { build: g.div },
  Max: { build: g.maximum },
  "Min: broadcast": { build: g.minimum },
  // np.less, np.greater, np.equal
  Less: { build: g.less, reference: { inputs: [left, right], expect: bools([1, 0, 0, 0]) }, wrt: [] },
  Greater: { build: g.greater, reference: { inputs: [left, right], expect: bools([0, 0, 1, 1]) }, wrt: [] },
  Equal: { build: g.equal, reference: { inputs: [left, right], expect: bools([0, 1, 0, 0]) }, wrt: [] },
  // np.bitwise_xor
  BitwiseXor: {
    build: g.bitwiseXor,
    reference: {
      inputs: [ints("i32", [5, -6, 0, 2147483647]), ints("i32", [3, 3, -1, 1])],
      expect: ints("i32", [6, -7, -1, 2147483646]),
    },
  },
  // np.ndarray.astype: towards zero
  "Cast: f32 to i32": {
    build: (x) => g.cast(x, "i32"),
    reference: { inputs: [f32([-1.7, -0.2, 0.9, 2.5], [4])], expect: ints("i32", [-1, 0, 0, 2]) },
    wrt: [],
  },
  "Cast: bool to f32": {
    build: (x) => g.cast(x, "f32"),
    reference: { inputs: [bools([0, 1, 1], [3, 1])], expect: f32([0, 1, 1], [3, 1]) },
  },
  "Cast: i64 to f32": {
    build: (x) => g.cast(x, "f32"),
    reference: { inputs: [ints("i64", [-3, 0, 16777216])], expect: f32([-3, 0, 16777216], [3]) },
  },
  "Where: broadcast": { build: g.where },
  Clip: { build: (x) => g.clip(x, -1, 1) },
  Reshape: { build: (x) => g.reshape(x, [3, -1]) },
  Transpose: { build: (x) => g.transpose(x, [2, 0, 1]) },
  Expand: { build: (x) => g.expand(x, [2, 3, 4]) },
  "Slice: steps forwards and backwards": {
    build: (x) =>
      g.slice(x, [
        { axis: 0, start: 1, end: 7, step: 3 },
        { axis: 1, start: 5, end: -1, step: -2 },
      ]),
  },
  "Pad: one side cropped": {
    build: (x) =>
      g.pad(x, [
        { axis: 0, before: 1, after: 2 },
        { axis: 1, before: 2, after: -1 },
      ]),
  },
  Concat: { build: (a, b, c) => g.concat([a, b, c], 1) },
  ReduceSum: { build: (x) => g.sum(x, { axes: [0, 2] }) },
  "ReduceMean: axis kept": { build: (x) => g.mean(x, { axes: [-1], keepDims: true }) },
  ReduceMax: { build: (x) => g.max(x, { axes: [1, 2] }) },
  "MatMul: broadcast": { build: (a, b) => g.matmul(a, b) },
  "MatMul: first transposed": { build: (a, b) => g.matmul(a, b, { transA: true }) },
  "MatMul: second transposed": { build: (a, b) => g.matmul(a, b, { transB: true }) },
  "MatMul: both transposed, scaled": {
    build: (a, b) => g.matmul(a, b, { transA: true, transB: true, alpha: 0.5 }),
  },
  "Gemm: with bias": { build: g.affine },
  "Gemm: without bias": { build: (x, w) => g.affine(x, w) },
  Softmax: { build: (x) => g.softmax(x, 1) },
  "Softmax: large values": { build: (x) => g.softmax(x, -1), wrt: [] },
  LogSoftmax: { build: (x) => g.logSoftmax(x, 1) },
  "LogSoftmax: large values": { build: (x) => g.logSoftmax(x, -1), wrt: [] },
  LayerNormalization: { build: (x, w, b) => g.layerNorm(x, w, b, 1e-5) },
  "LayerNormalization: large epsilon": { build: (x, w, b) => g.layerNorm(x, w, b, 0.3) },
  GroupNormalization: { build: (x, w, b) => g.groupNorm(x, w, b, { groups: 3, epsilon: 0.01 }) },
  "Conv: padded": conv({ padding: 1 }),
  "Conv: stride 2, with bias": convWithBias({ stride: 2, padding: 1 }),
  "Conv: depthwise": conv({ padding: 1, groups: 4 }),
  "Conv: depthwise, stride 2": conv({ stride: 2, padding: 1, groups: 4 }),
  "Conv: two groups, stride 2": conv({ stride: 2, groups: 2 }),
  "Conv: large kernel, stride 4": conv({ stride: 4, padding: 3 }),
  "Conv: dilated, two groups": conv({ padding: 2, dilation: 2, groups: 2 }),
  "Conv: dilated beyond the map, with bias": convWithBias({ padding: 6, dilation: 6 }),
  "Conv: dilated, stride 2": conv({ stride: 2, padding: 1, dilation: 3 }),
  "Conv: kernel of unequal sides": convWithBias({}),
  "Conv: one axis, stride 2, two groups": {
    build: (x, w, b) => g.conv1d(x, w, b, { stride: 2, before: 3, after: 1, groups: 2 }),
  },
  "Conv: one axis, depthwise, causal": {
    build: (x, w, b) => g.conv1d(x, w, b, { before: 3, groups: 4 }),
  },
  ConvTranspose: {
    build: (x, w) => g.convTranspose2d(x, w, { stride: 2, padding: 1, height: 6, width: 7 }),
  },
  After: {
    build: (x, event) => g.after(x, event),
    reference: { inputs: [f32([1.5, -2, 3], [3]), f32([4, 5], [1, 2])], expect: f32([1.5, -2, 3], [3]) },
    wrt: [0],
  },
  // np.tanh(x) * np.exp(w)
  Recompute: {
    build: (x, w) => {
      const layer = (v: g.Value) => g.mul(g.tanh(v), g.exp(w));
      return g.recompute(x, layer(x), layer);
    },
    reference: {
      inputs: [f32([0.5, -1, 2], [3]), f32([0.25, -0.5, 0], [3])],
      expect: f32([0.59337018, -0.46193021, 0.96402758], [3]),
      gradients: [
        [1.00981888, 0.25472731, 0.07065082],
        [0.59337018, -0.46193021, 0.96402758],
      ],
      seed: f32([1, 1, 1], [3]),
    },
  },
  MaxPool: { build: (x) => g.maxPool2d(x, { kernel: 2, stride: 2 }) },
  "MaxPool: padded": { build: (x) => g.maxPool2d(x, { kernel: 3, stride: 2, padding: 1 }) },
  ScatterElements: { build: (x, index) => g.scatterSum(x, index, [2, 3]) },
  Gather: { build: g.gatherRows },
  WeightedRows: { build: g.weightedRows },
  GatherElements: { build: g.gather },
  // np.eye(4)[index], and zeros for an index beyond
  OneHot: {
    build: (index) => g.oneHot(index, 4),
    reference: {
      inputs: [ints("i64", [2, 0, 3, 4], [2, 2])],
      expect: f32([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], [2, 2, 4]),
    },
  },
  ...Object.fromEntries(
    [
      { height: 8, width: 13 },
      { height: 3, width: 5 },
    ].map((size): [string, Case] => [
      `MatMul: bicubic resize to ${size.height}x${size.width}`,
      { build: (x) => g.resizeBicubic(x, size) },
    ]),
  ),
  ...Object.fromEntries(
    (["nearest", "bilinear", "bilinear-corners"] as const).flatMap((mode) =>
      [
        { height: 8, width: 12 },
        { height: 3, width: 2 },
        { height: 7, width: 5 },
        { height: 1, width: 1 },
      ].map((size): [string, Case] => [
        `Resize: ${mode} to ${size.height}x${size.width}`,
        { build: (x) => g.resize(x, { mode, ...size }) },
      ]),
    ),
  ),
};

function conv(options: g.ConvOptions): Case {
  return { build: (x, w) => g.conv2d(x, w, undefined, options) };
}
function convWithBias(options: g.ConvOptions): Case {
  return { build: (x, w, b) => g.conv2d(x, w, b, options) };
}

const numbers = z.array(z.number());
const tensorSchema = z
  .strictObject({ dtype: z.enum(["f32", "i32", "i64", "bool"]), shape: numbers, data: numbers })
  .transform(({ dtype, shape, data }): Tensor => {
    if (dtype === "f32") return f32(data, shape);
    return dtype === "bool" ? bools(data, shape) : ints(dtype, data, shape);
  });
const references = z
  .record(
    z.string(),
    z.strictObject({
      inputs: z.array(tensorSchema),
      y: tensorSchema,
      seed: numbers.optional(),
      gradients: z.array(numbers.nullable()).optional(),
    }),
  )
  .parse(JSON.parse(readFileSync(referencePath("ops.json"), "utf8")));

function referenceOf(name: string): Reference {
  const found = references[name];
  if (found === undefined) throw new Error(`${name}: no expected values; see "reference" of a case`);
  const { inputs, y, seed, gradients } = found;
  return { inputs, expect: y, seed: seed && f32(seed, y.shape), gradients };
}

test("every op has a case, and every reference is used", () => {
  const leaves = ["constant", "input", "parameter"];
  const covered = new Set(Object.keys(cases).map(opOf));
  assert.deepEqual(
    g.opNames().filter((name) => !covered.has(name) && !leaves.includes(name)),
    [],
  );
  const unused = Object.keys(references).filter((name) => cases[name] === undefined || cases[name].reference);
  assert.deepEqual(unused, []);
});

function opOf(name: string): string {
  return name.split(":")[0] ?? name;
}

/** How far each element is moved for a central difference. */
const step = 2e-3;

for (const [name, { build, reference, wrt }] of Object.entries(cases)) {
  test(`${name}: shape, values and gradients`, async (t) => {
    const { inputs, expect, seed, gradients } = reference ?? referenceOf(name);
    const xs = inputs.map((x, i) => g.input(`x${i}`, x.shape, x.dtype));
    const [a, b = a, c = a] = xs;
    assert.ok(a && b && c);
    const y = build(a, b, c);
    assert.ok(
      g.topologicalOrder([y]).some(({ op }) => op === opOf(name)),
      `${name}: the graph has no such op`,
    );
    assert.deepEqual(y.shape, expect.shape);

    const wanted = wrt ?? inputs.flatMap(({ dtype }, i) => (dtype === "f32" ? [i] : []));
    const outputs: Record<string, g.Value> = { y };
    if (wanted.length > 0) {
      const flowing = g.input("seed", y.shape);
      const results = g.gradients(
        [{ y, seed: flowing }],
        wanted.map((i) => xs[i] ?? assert.fail(`${name}: no input ${i}`)),
      );
      for (const [k, i] of wanted.entries()) outputs[`d${i}`] = results[k] ?? assert.fail(`no gradient ${i}`);
    }
    const seedValue = seed ?? drawn(y.shape);
    const feeds: Tensors = { seed: seedValue, ...Object.fromEntries(inputs.map((x, i) => [`x${i}`, x])) };
    const open = async (values: Record<string, g.Value>, contrib: boolean): Promise<Session> => {
      const graph = g.emitOnnx(values, { target: { contrib } });
      const session = await runtime.createSession({ graph, weights: new Map() });
      t.after(() => session.close());
      return session;
    };

    for (const contrib of [true, false]) {
      const found = await (await open(outputs, contrib)).run(feeds);
      assertClose(found.y, expect, 1e-6, "y");
      for (const i of wanted) {
        const expected = gradients?.[i];
        if (expected) assertClose(found[`d${i}`], f32(expected, inputs[i]?.shape ?? []), 1e-5, `d${i}`);
      }
    }

    const forward = await open({ y }, true);
    const plain = await (await open(outputs, false)).run(feeds);
    for (const i of wanted) {
      const slope = await centralDifference(forward, { feeds, key: `x${i}`, seed: seedValue });
      assertClose(plain[`d${i}`], slope, 2e-3, `d${i} against the central difference`);
    }
  });
}

function drawn(shape: Shape): Tensor {
  const random = new Random(shape.length, 7);
  const { data } = full(shape);
  return f32(
    data.map(() => random.uniform(-1, 1)),
    shape,
  );
}

/** Slope of the sum of seed * y along each element of the input `key`, summed in float64. */
async function centralDifference(
  forward: Session,
  { feeds, key, seed }: { readonly feeds: Tensors; readonly key: string; readonly seed: Tensor },
): Promise<Tensor> {
  const x = feeds[key];
  assert.ok(x?.dtype === "f32");
  const objective = async (element: number, moved: number): Promise<number> => {
    const data = x.data.slice();
    data[element] = moved;
    const { y } = await forward.run({ ...feeds, [key]: { ...x, data } });
    assert.ok(y);
    let total = 0;
    y.data.forEach((v: number | bigint, k: number) => {
      total += Number(v) * Number(seed.data[k]);
    });
    return total;
  };
  const slopes: number[] = [];
  for (const [element, v] of x.data.entries()) {
    const [above, below] = [Math.fround(v + step), Math.fround(v - step)];
    const difference = (await objective(element, above)) - (await objective(element, below));
    slopes.push(difference / (above - below));
  }
  return f32(slopes, x.shape);
}

/** Fails unless every element is within `tolerance` of the expected one, relative to the largest expected one. */
function assertClose(actual: Tensor | undefined, expected: Tensor, tolerance: number, what: string): void {
  assert.ok(actual, `${what} is missing`);
  assert.deepEqual([actual.dtype, actual.shape], [expected.dtype, expected.shape], what);
  const [found, wanted] = [actual, expected].map(({ data }) =>
    Array.from<number | bigint, number>(data, Number),
  );
  const largest = Math.max(...(wanted ?? []).map(Math.abs));
  wanted?.forEach((v, i) => {
    const distance = Math.abs((found?.[i] ?? Number.NaN) - v);
    assert.ok(distance <= tolerance * largest, `${what}: element ${i} is ${found?.[i]}, expected ${v}`);
  });
}

test("where values are equal or at a limit, the gradient goes where the docstrings say", async () => {
  const [a, b] = [g.input("a", [3]), g.input("b", [3])];
  const map = g.input("map", [1, 1, 2, 2]);
  const outputs: Record<string, g.Value> = {};
  const differentiate = (name: string, y: g.Value, x: g.Value) => {
    outputs[name] = g.gradients([{ y: g.sum(y) }], [x])[0] ?? assert.fail(name);
  };
  differentiate("maximum a", g.maximum(a, b), a);
  differentiate("maximum b", g.maximum(a, b), b);
  differentiate("minimum a", g.minimum(a, b), a);
  differentiate("minimum b", g.minimum(a, b), b);
  differentiate("max", g.max(a), a);
  differentiate("abs", g.abs(a), a);
  differentiate("relu", g.relu(a), a);
  differentiate("clip", g.clip(a, -1, 1), a);
  differentiate("pool", g.maxPool2d(map, { kernel: 2, stride: 2 }), map);
  const session = await runtime.createSession({ graph: g.emitOnnx(outputs), weights: new Map() });
  const found = await session.run({
    a: f32([0, 1, 1], [3]),
    b: f32([0, 1, 2], [3]),
    map: f32([1, 3, 3, 3], [1, 1, 2, 2]),
  });
  assert.deepEqual(Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, [...data]])), {
    "maximum a": [1, 1, 0],
    "maximum b": [0, 0, 1],
    "minimum a": [1, 1, 1],
    "minimum b": [0, 0, 0],
    max: [0, 0.5, 0.5],
    abs: [0, 1, 1],
    relu: [0, 1, 1],
    clip: [1, 1, 1],
    pool: [0, 1, 0, 0],
  });
});
