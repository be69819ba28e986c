/** Which layers are quantized, what their chains look like, and how far they are from full precision. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import test, { after } from "node:test";
import * as ort from "onnxruntime-node";
import { modelBytes } from "../../test/int8-products.js";
import { relativeError, seededInput } from "../../test/support.js";
import { tempDir } from "../../test/temp-dir.js";
import {
  add,
  affine,
  conv2d,
  input,
  mul,
  parameter,
  relu,
  reshape,
  transpose,
  type Value,
} from "../graph/index.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import type { Shape } from "../tensor.js";
import { foldedGraph, foldWeights } from "./fold-weights.js";
import { type Int8Options, int8Graph, type QuantizedGraph } from "./int8-graph.js";
import type { StoredGraph } from "./stored-graph.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());
const dir = await tempDir({ after });

type Outputs = Readonly<Record<string, Value>>;

/** `outputs` in 8 bits and as they are, with seeded weights of the given shapes. */
async function bothForms(
  outputs: Outputs,
  shapes: Readonly<Record<string, Shape>>,
  options: Int8Options = { minWeights: 1 },
): Promise<{ int8: QuantizedGraph; full: StoredGraph }> {
  const weights = new Map(Object.entries(shapes).map(([key, shape]) => [key, seededInput(key, shape)]));
  const folded = await foldWeights(outputs, { weights, runtime });
  return { int8: int8Graph(outputs, folded, options), full: foldedGraph(outputs, folded) };
}

async function outputsOf(stored: StoredGraph, xShape: Shape): Promise<Record<string, Float32Array>> {
  const session = await runtime.createSession({ ...stored, name: "int8" });
  const results = await session.run({ x: seededInput("x", xShape) });
  await session.close();
  return Object.fromEntries(
    Object.entries(results).map(([name, t]) => [name, t.dtype === "f32" ? t.data : assert.fail()]),
  );
}

async function assertSimilar({ int8, full }: { int8: StoredGraph; full: StoredGraph }, xShape: Shape) {
  const [found, expected] = [await outputsOf(int8, xShape), await outputsOf(full, xShape)];
  for (const [name, values] of Object.entries(expected)) {
    const worst = relativeError(found[name] ?? [], values);
    assert.ok(worst > 0 && worst < 0.015, `${name}: relative error ${worst}`);
  }
}

const count = ({ graph }: StoredGraph, op: string): number => graph.nodes.filter((n) => n.op === op).length;
/** Stored weights; not the places of windows. */
const keysOf = ({ graph }: StoredGraph): string[] =>
  graph.parameters.flatMap(({ name, dtype }) => (dtype === "i64" ? [] : [name])).sort();

for (const { size, ...options } of [
  { size: 3, padding: 1 },
  { size: 3, padding: 1, stride: 2 },
  { size: 3, padding: 2, dilation: 2 },
  { size: 3 },
  { size: 1 },
  { size: 1, stride: 2 },
]) {
  test(`a ${size}x${size} convolution, borders included: ${JSON.stringify(options)}`, async () => {
    const x = input("x", [2, 32, 5, 7]);
    const kernel = [24, 32, size, size];
    const y = conv2d(x, parameter("w", kernel), parameter("b", [24]), options);
    const forms = await bothForms({ y }, { w: kernel, b: [24] });
    assert.equal(forms.int8.quantized, 1);
    assert.deepEqual(keysOf(forms.int8), ["b", "w.int8", "w.scale"]);
    await assertSimilar(forms, x.shape);
  });
}

test("layers of one input share its bytes, which move instead of it", async () => {
  const x = input("x", [3, 320, 4]);
  const rows = reshape(transpose(x, [0, 2, 1]), [12, 320]);
  const first = affine(rows, parameter("a", [20, 320]));
  const second = affine(rows, parameter("b", [30, 320]));
  const forms = await bothForms({ first, second }, { a: [20, 320], b: [30, 320] });
  const made = forms.int8.graph.nodes.filter(({ op }) => op === "DynamicQuantizeLinear");
  assert.deepEqual(
    made.map(({ inputs }) => inputs),
    [["x"]],
  );
  assert.equal(count(forms.int8, "Transpose"), 1, "of the bytes alone");
  await assertSimilar(forms, x.shape);
});

test("weights that are merged first are quantized after that", async () => {
  const x = input("x", [8, 40]);
  const sum = add(parameter("v", [24, 40]), mul(parameter("w", [24, 40]), 0.5));
  const forms = await bothForms({ y: affine(x, sum) }, { v: [24, 40], w: [24, 40] });
  assert.deepEqual(keysOf(forms.int8), ["v.int8", "v.scale"]);
  await assertSimilar(forms, x.shape);
});

test("what stays as it is: few weights, named ones, groups, and weights that are computed", async () => {
  const x = input("x", [2, 16, 6, 6]);
  const named = mul(parameter("named", [16, 16, 1, 1]), 2); // made of what is named
  let map = relu(conv2d(x, parameter("large", [16, 16, 3, 3]), undefined, { padding: 1 }));
  map = relu(conv2d(map, parameter("small", [16, 16, 1, 1]), undefined));
  map = relu(conv2d(map, named, undefined));
  map = relu(conv2d(map, parameter("grouped", [16, 4, 3, 3]), undefined, { padding: 1, groups: 4 }));
  const tokens = reshape(map, [32, 36]);
  const y = affine(affine(tokens, reshape(tokens, [32, 36])), parameter("last", [40, 32]));
  const shapes = {
    large: [16, 16, 3, 3],
    small: [16, 16, 1, 1],
    named: [16, 16, 1, 1],
    grouped: [16, 4, 3, 3],
    last: [40, 32],
  };
  const some = await bothForms({ y }, shapes, { fullPrecision: new Set(["named"]), minWeights: 257 });
  assert.deepEqual(keysOf(some.int8), [
    "grouped",
    "large.int8",
    "large.scale",
    "last.int8",
    "last.scale",
    "named",
    "small",
  ]);
  const all = await bothForms({ y }, shapes);
  assert.equal(all.int8.quantized, 4);
  const none = await bothForms({ y }, shapes, {});
  assert.equal(none.int8.quantized, 0, "by default layers of 100,000 weights and more");
});

test("the runtime fuses every product with its scales and bias, and not with the quantization before it", async () => {
  const tokens = affine(input("x", [12, 40]), parameter("a", [50, 40]), parameter("b", [50]));
  const y = affine(relu(tokens), parameter("c", [64, 50]));
  const map = conv2d(reshape(y, [12, 16, 2, 2]), parameter("d", [8, 16, 1, 1]), undefined);
  const { int8 } = await bothForms({ map }, { a: [50, 40], b: [50], c: [64, 50], d: [8, 16, 1, 1] });
  assert.equal(count(int8, "MatMulInteger"), 3);
  const file = path.join(dir, "optimized.onnx");
  const session = await ort.InferenceSession.create(modelBytes(int8), {
    optimizedModelFilePath: file,
    logSeverityLevel: 3,
  });
  await session.release();
  const optimized = await readFile(file, "latin1");
  // An operator's type is field 4 of its node: a tag, a length, the text.
  const operators = (type: string): number =>
    optimized.split(`\x22${String.fromCharCode(type.length)}${type}`).length - 1;
  assert.equal(operators("MatMulIntegerToFloat"), 3);
  assert.equal(operators("MatMulInteger") + operators("Cast") + operators("Add"), 0);
  // On ARM with SME this one quantizes row by row: other numbers than everywhere else.
  assert.equal(operators("DynamicQuantizeMatMul"), 0);
  assert.equal(operators("DynamicQuantizeLinear"), 3);
});
