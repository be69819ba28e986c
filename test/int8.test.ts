/** Products in 8 bits are the same on every processor. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import path from "node:path";
import test from "node:test";
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

test("this processor's sums are those of integer arithmetic", async () => {
  assert.deepEqual(await checkInt8Products({ ...ort, provider: "cpu" }), caseNames);
});

test("so are those of WASM", async () => {
  web.env.wasm.numThreads = 1;
  assert.deepEqual(await checkInt8Products({ ...web, provider: "wasm" }), caseNames);
});

// Haswell: AVX2 without VNNI, where pairs of products saturate. Nehalem: neither AVX nor AVX2.
for (const { cpu, saturates } of [
  { cpu: "Haswell", saturates: true },
  { cpu: "Nehalem", saturates: false },
]) {
  test(`so are those of an emulated ${cpu}`, async (t) => {
    if (process.arch !== "x64") return t.skip("emulating an x86 processor takes a Node for x86");
    if (spawnSync("qemu-x86_64", ["--version"]).status !== 0) {
      return t.skip("qemu-x86_64 is not installed (Debian: apt-get install qemu-user)");
    }
    const script = path.join(import.meta.dirname, "int8-emulated.js");
    const { stdout } = await promisify(execFile)("qemu-x86_64", ["-cpu", cpu, process.execPath, script]);
    assert.deepEqual(JSON.parse(stdout), { saturates, cases: caseNames });
  });
}
