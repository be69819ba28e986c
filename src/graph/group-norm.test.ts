import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { relativeError, seededInput } from "../../test/support.js";
import { wasmRuntime } from "../../test/wasm.js";
import { full } from "../tensor.js";
import { constant, emitOnnx, groupNorm } from "./index.js";

test("group norm of many values is exact in Node and in WASM", async (t) => {
  const [groups, side] = [2, 512];
  const seeded = seededInput("x", [1, groups, side, side]);
  const x = { ...seeded, data: seeded.data.map((value) => value + 0.5) };
  const expected = Array.from({ length: groups }, (_, i) => {
    const values = Array.from(x.data.subarray(i * side * side, (i + 1) * side * side));
    const mean = values.reduce((a, b) => a + b) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    return values.map((value) => (value - mean) / Math.sqrt(variance + 1e-5));
  }).flat();
  const [ones, zeros] = [constant(full([groups], 1)), constant(full([groups], 0))];
  const y = groupNorm(inputLike("x", x), ones, zeros, { groups, epsilon: 1e-5 });

  const runtime = wasmRuntime();
  t.after(() => runtime.close());
  const graph = emitOnnx({ y }, { target: runtime.supports });
  const session = await runtime.createSession({ graph, weights: new Map() });
  for (const [where, found] of Object.entries({
    Node: await evaluate({ y }, { x }),
    WASM: await session.run({ x }),
  })) {
    const values = Array.from<number | bigint, number>(found.y?.data ?? [], Number);
    const error = relativeError(values, expected);
    assert.ok(error < 1e-6, `${where}: ${error}`);
  }
});
