/** The worked example of docs/contributing-engine.md, run, so that the page stays true. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import test, { after } from "node:test";
import { defineOp } from "../src/graph/define-op.js";
import {
  abs,
  add,
  div,
  emitOnnx,
  gradients,
  input,
  mean,
  mul,
  relu,
  sigmoid,
  type Value,
} from "../src/graph/index.js";
import { initialState, linear, Scope } from "../src/nn/index.js";
import { nodeRuntime } from "../src/runtime/node/node-runtime.js";
import { asF32, f32 } from "../src/tensor.js";
import { assertClose, root, seededUniform } from "./support.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());

// [op]
const softsignOp = defineOp<readonly [Value], Record<string, never>>({
  name: "Softsign",
  shape: ([x]) => x.shape,
  // dL/dx = g / (1 + |x|)^2
  grad: ({ g, inputs: [x] }) => {
    const d = add(1, abs(x));
    return [div(g, mul(d, d))];
  },
  onnx: (e, names) => e.op("Softsign", names),
});

/** y = x / (1 + |x|) */
export function softsign(x: Value): Value {
  return softsignOp([x], {});
}
// [end]

// [part]
/** Weighs the channels of tokens by what all of them hold (Hu et al. 2018): x `[N,L,C]` -> `[N,L,C]`. */
export function channelGate(scope: Scope, channels: number): (x: Value) => Value {
  const squeeze = linear(scope.at("fc1"), channels, channels / 4);
  const excite = linear(scope.at("fc2"), channels / 4, channels);
  return (x) => {
    const whole = mean(x, { axes: [1], keepDims: true }); // [N,1,C]
    return mul(x, sigmoid(excite(relu(squeeze(whole)))));
  };
}
// [end]

test("the op: its values and its gradient", async () => {
  const x = input("x", [5]);
  const y = softsign(x);
  const [dx] = gradients([{ y, seed: input("g", [5]) }], [x]);
  assert.ok(dx);
  const session = await runtime.createSession({ graph: emitOnnx({ y, dx }), weights: new Map() });
  const at = [-3, -0.5, 0, 0.5, 3];
  const out = await session.run({ x: f32(at, [5]), g: f32([1, 1, 1, 1, 2], [5]) });
  assert.ok(out.y && out.dx);
  assertClose(
    asF32(out.y, "y").data,
    at.map((v) => v / (1 + Math.abs(v))),
    1e-6,
    "y",
  );
  const slopes = at.map((v, i) => (i === 4 ? 2 : 1) / (1 + Math.abs(v)) ** 2);
  assertClose(asF32(out.dx, "dx").data, slopes, 1e-6, "dx");
});

test("the part: its keys, its values, and a gradient for every weight", async () => {
  const scope = new Scope();
  const gate = channelGate(scope.at("decoder").at("gate"), 32);
  assert.deepEqual(
    scope.specs().map(({ key }) => key),
    ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"].map((key) => `decoder.gate.${key}`),
  );
  const x = f32(seededUniform("x", 2 * 3 * 32), [2, 3, 32]);
  const y = gate(input("x", [2, 3, 32]));
  const wrt = [...scope.values().values()];
  const slopes = gradients([{ y, seed: input("g", [2, 3, 32]) }], wrt);
  const outputs = { y, ...Object.fromEntries(slopes.map((d, i) => [`d${i}`, d])) };
  const weights = initialState(scope.specs(), 1);
  const session = await runtime.createSession({ graph: emitOnnx(outputs), weights });
  const out = await session.run({ x, g: x });
  assert.ok(out.y);
  const ratio = asF32(out.y, "y").data.map((v, i) => v / (x.data[i] ?? 1));
  assert.ok(ratio.every((r) => r > 0 && r < 1));
  for (const i of wrt.keys()) assert.ok(asF32(out[`d${i}`] ?? x, "d").data.some((v) => v !== 0));
});

test("the page shows this very code", () => {
  const source = readFileSync(path.join(root, "test", "worked-example.test.ts"), "utf8");
  const page = readFileSync(path.join(root, "docs", "contributing-engine.md"), "utf8");
  const pieces = [...source.matchAll(/^\/\/ \[(op|part)\]\n([\s\S]*?)^\/\/ \[end\]$/gm)];
  assert.equal(pieces.length, 2);
  for (const [, name, code = ""] of pieces) assert.ok(page.includes(code.trim()), `the ${name} differs`);
});
