/** Products in 8 bits are the same on every processor. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { promisify } from "node:util";
import * as ort from "onnxruntime-node";
import * as web from "onnxruntime-web";
import { maxInt8Weight } from "../src/export/int8-weights.js";
import { int8Cases } from "./int8-cases.js";
import { checkInt8Products } from "./int8-products.js";

const caseNames = int8Cases.map(({ name }) => name);

test("two products with the largest weights fit 16 bits, and no larger weights would do", () => {
  assert.ok(2 * 255 * maxInt8Weight < 2 ** 15);
  assert.ok(2 * 255 * (maxInt8Weight + 1) >= 2 ** 15);
});

test("the cases reach the largest weights of both signs and all bytes", () => {
  for (const { name, stored, x } of int8Cases) {
    const weights = stored.weights.get("w.int8")?.data;
    assert.ok(weights instanceof Int8Array, name);
    assert.deepEqual([Math.min(...weights), Math.max(...weights)], [-maxInt8Weight, maxInt8Weight], name);
    assert.equal(Math.max(...x.data) - Math.min(...x.data), 255, name);
  }
});

test("8-bit products of this processor are those of integer arithmetic", async () => {
  assert.deepEqual(await checkInt8Products({ ...ort, provider: "cpu" }), caseNames);
});

test("8-bit products in WASM are those of integer arithmetic", async () => {
  web.env.wasm.numThreads = 1;
  assert.deepEqual(await checkInt8Products({ ...web, provider: "wasm" }), caseNames);
});

/** Runs the cases on an emulated processor, and first a product that tells whether it is of the kind that saturates. */
function emulated(processor: string, { saturates }: { saturates: boolean }) {
  return async (t: TestContext): Promise<void> => {
    if (process.arch !== "x64") return t.skip("an x86 processor can be emulated for an x86 Node only");
    if (spawnSync("qemu-x86_64", ["--version"]).status !== 0) return t.skip("qemu-x86_64 is not installed");
    const script = path.join(import.meta.dirname, "int8-emulated.js");
    const command = ["-cpu", processor, process.execPath, script];
    const { stdout } = await promisify(execFile)("qemu-x86_64", command);
    assert.deepEqual(JSON.parse(stdout), { saturates, cases: caseNames });
  };
}

test(
  "8-bit products of a Haswell (AVX2 without VNNI) are those of integer arithmetic",
  emulated("Haswell", { saturates: true }),
);

test(
  "8-bit products of a Nehalem (SSE4.2 without AVX) are those of integer arithmetic",
  emulated("Nehalem", { saturates: false }),
);
