/**
 * Runs the cases of `int8-cases.ts` with any ONNX Runtime: the native one, the same on an emulated processor
 * (`int8-emulated.ts`), and the one for browsers.
 */
import assert from "node:assert/strict";
import type { InferenceSessionFactory, TensorConstructor } from "onnxruntime-common";
import type { StoredGraph } from "../src/export/stored-graph.js";
import { serializeOnnx } from "../src/graph/index.js";
import { fromOrt, sessionOptions, toOrt } from "../src/runtime/ort-tensors.js";
import type { Tensor } from "../src/tensor.js";
import { int8Cases, weightScale } from "./int8-cases.js";

/** A package of ONNX Runtime, and its name for the processor. */
export interface OrtPackage {
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: TensorConstructor;
  readonly provider: "cpu" | "wasm";
}

/** The serialized model. */
export function modelBytes({ graph, weights }: StoredGraph): Uint8Array {
  return serializeOnnx(graph, {
    parameter: ({ name }) => ({ bytes: (weights.get(name) ?? assert.fail(`no data of ${name}`)).data }),
  });
}

async function run(ort: OrtPackage, stored: StoredGraph, x: Tensor): Promise<Record<string, Tensor>> {
  const session = await ort.InferenceSession.create(modelBytes(stored), sessionOptions(ort.provider, 1));
  const results = await session.run({ x: toOrt(ort.Tensor, x) });
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromOrt(tensor)]));
}

/** The same graph with one more output: the 32-bit sums, which the runtime can then not fuse with what follows. */
function withSums(stored: StoredGraph, shape: readonly number[]): StoredGraph {
  const product = stored.graph.nodes.find(({ op }) => op === "MatMulInteger");
  const [name] = product?.outputs ?? assert.fail("no integer product");
  const outputs = [...stored.graph.outputs, { name: name ?? assert.fail(), dtype: "i32", shape } as const];
  return { ...stored, graph: { ...stored.graph, outputs } };
}

/** Compares sums and outputs of every case with integer arithmetic. Returns the names of the cases. */
export async function checkInt8Products(ort: OrtPackage): Promise<string[]> {
  for (const { name, stored, x, sums, outputs } of int8Cases) {
    const { y } = await run(ort, stored, x);
    assert.ok(y?.dtype === "f32");
    assert.deepEqual(
      Array.from(y.data, (v) => v / weightScale),
      Array.from(outputs),
      `${name}: outputs`,
    );
    const channels = stored.weights.get("w.scale")?.shape[0] ?? assert.fail("no scales");
    const all = await run(ort, withSums(stored, [sums.length / channels, channels]), x);
    const found = Object.values(all).find((tensor) => tensor.dtype === "i32");
    assert.deepEqual(found?.data, sums, `${name}: sums`);
  }
  return int8Cases.map(({ name }) => name);
}

/** Whether products with weights of eight bits come out wrong: 255 * 127, four times. */
export async function saturates(ort: OrtPackage): Promise<boolean> {
  const [rows, inputs, channels] = [4, 4, 16];
  const shape = [inputs, channels];
  const stored: StoredGraph = {
    graph: {
      nodes: [{ op: "MatMulInteger", domain: "", inputs: ["x", "w"], outputs: ["y"], attributes: {} }],
      inputs: [{ name: "x", dtype: "u8", shape: [rows, inputs] }],
      outputs: [{ name: "y", dtype: "i32", shape: [rows, channels] }],
      constants: new Map(),
      parameters: [{ name: "w", dtype: "i8", shape }],
      shapes: new Map(),
    },
    weights: new Map([["w", { shape, data: new Int8Array(inputs * channels).fill(127) }]]),
  };
  const x = { dtype: "u8", shape: [rows, inputs], data: new Uint8Array(rows * inputs).fill(255) } as const;
  const { y } = await run(ort, stored, x);
  return y?.data.some((sum) => sum !== inputs * 255 * 127) ?? assert.fail("no sums");
}
