/** The engine as a library of its own: its guide, its bundle for browsers, and WASM against Node. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after } from "node:test";
import * as engine from "../src/engine/node/index.js";
import { bundleForBrowsers } from "./bundle.js";
import { assertClose, root, seededInput } from "./support.js";
import { wasmRuntime } from "./wasm.js";

test("the guide shows the code of the example, and all of its code runs", async () => {
  const example = readFileSync(path.join(root, "examples", "train-mlp.mjs"), "utf8");
  const guide = readFileSync(path.join(root, "docs", "guides", "engine.md"), "utf8");
  const blocks = [...guide.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code);
  const trained = /^\/\/ \[train\]\n([\s\S]*?)^\/\/ \[end\]$/m.exec(example);
  assert.equal(blocks.length, 4);
  assert.equal(blocks[0], trained?.[1]);

  const folder = await mkdtemp(path.join(root, "dist", "guide-")); // inside the package, which imports itself
  try {
    const names = Object.keys(engine).join(", ");
    const moons = /^function twoMoons[\s\S]*?^}$/m.exec(example)?.[0] ?? assert.fail("no twoMoons");
    const [first, ...others] = blocks;
    const program = [
      `import { ${names} } from "avseg/engine";`,
      'import { writeFile } from "node:fs/promises";',
      moons,
      first,
      ...others.map((code) => `{\n${code}}`),
      "await runtime.close();",
    ];
    await writeFile(path.join(folder, "guide.mjs"), program.join("\n"));
    const { status, stderr } = spawnSync(process.execPath, ["guide.mjs"], { cwd: folder, encoding: "utf8" });
    assert.equal(status, 0, stderr);
    const { inputs, outputs } = readOnnx(
      new Uint8Array(readFileSync(path.join(folder, "model.onnx"))),
      "model.onnx",
    );
    assert.deepEqual([inputs[0]?.name, outputs[0]?.shape], ["points", [1000, 1]]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("the entry for browsers needs no Node module and nothing but onnxruntime-web beside it", async () => {
  const entries = ["engine/web/index.js", "runtime/web/worker.js"];
  const { imports, bytes } = await bundleForBrowsers(entries, ["onnxruntime-web/*"]);
  assert.deepEqual(imports, ["onnxruntime-web/wasm", "onnxruntime-web/webgpu"]);
  for (const size of bytes) assert.ok(size < 100_000, `${size} bytes`);
});

const { emitOnnx, gradients, initialState, input, nn, ops, readOnnx, Scope } = engine;
const runtimes = [engine.nodeRuntime({ threads: 1 }), wasmRuntime()];
after(() => Promise.all(runtimes.map((runtime) => runtime.close())));

test("WASM computes the values and gradients of Node", async () => {
  const scope = new Scope("net");
  const conv = nn.convolution(scope.at("conv"), { inputs: 2, outputs: 4 });
  const head = nn.linear(scope.at("head"), 4, 3);
  const maps = ops.gelu(conv(input("x", [2, 2, 5, 6])));
  const loss = ops.mean(ops.logSoftmax(head(ops.mean(maps, { axes: [2, 3] })), -1));
  const slopes = gradients([{ y: loss }], [...scope.values().values()]);
  const outputs = { loss, ...Object.fromEntries(slopes.map((d, i) => [`d${i}`, d])) };
  const [node, wasm] = await Promise.all(
    runtimes.map(async (runtime) => {
      const graph = emitOnnx(outputs, { target: runtime.supports });
      const session = await runtime.createSession({ graph, weights: initialState(scope.specs(), 1) });
      return session.run({ x: seededInput("x", [2, 2, 5, 6]) });
    }),
  );
  const numbers = (t: { data: ArrayLike<number | bigint> } | undefined) => Array.from(t?.data ?? [], Number);
  for (const name of Object.keys(outputs)) {
    assertClose(numbers(wasm?.[name]), numbers(node?.[name]), 1e-5, name);
  }
});
