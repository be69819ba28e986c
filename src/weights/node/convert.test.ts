import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { referencePath } from "../../../test/reference.js";
import { tempDir } from "../../../test/temp-dir.js";
import { CheckpointError } from "../../errors.js";
import { f32, full, type Tensor } from "../../tensor.js";
import { summarizeWeights } from "../summary.js";
import { convertWeights } from "./convert.js";
import { loadListing, loadStateDict } from "./load.js";
import { writeSafetensors } from "./safetensors-file.js";

test("torch to safetensors keeps every value and the metadata", async (t) => {
  const from = referencePath("torch", "nested.pth");
  const dir = await tempDir(t);
  const to = path.join(dir, "out.safetensors");
  await convertWeights(from, to);
  const [a, b] = [await loadStateDict(from), await loadStateDict(to)];
  assert.equal(b.format, "safetensors");
  assert.deepEqual(b.metadata, a.metadata);
  assert.deepEqual(new Map([...b.tensors].sort()), new Map([...a.tensors].sort()));
});

test("floats become halves on request, in place too", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "w.safetensors");
  const tensors = new Map<string, Tensor>([
    ["w", f32([0.1, 1], [2])],
    ["n", { dtype: "i64", shape: [], data: BigInt64Array.of(5n) }],
  ]);
  await writeSafetensors(file, tensors, { metadata: { epoch: "3" } });
  const before = (await stat(file)).size;
  await convertWeights(file, file, { dtype: "f16" });
  assert.ok((await stat(file)).size <= before);
  const { tensors: types } = await loadListing(file);
  assert.deepEqual([types.get("w")?.type, types.get("n")?.type], ["f16", "i64"]);
  const back = await loadStateDict(file);
  assert.deepEqual(back.metadata, { epoch: "3" });
  assert.ok(Math.abs(Number(back.tensors.get("w")?.data[0]) - 0.1) < 1e-4);
});

test("a damaged source leaves the target as it was", async (t) => {
  const dir = await tempDir(t);
  const [from, to] = [path.join(dir, "a.pth"), path.join(dir, "b.safetensors")];
  await writeFile(from, Buffer.of(0x80, 2, 0x7d));
  await writeFile(to, "old");
  await assert.rejects(convertWeights(from, to), CheckpointError);
  await assert.rejects(convertWeights(from, path.join(dir, "b.pth")), /safetensors only/);
  assert.equal(await readFile(to, "utf8"), "old");
  assert.deepEqual((await readdir(dir)).sort(), ["a.pth", "b.safetensors"]);
});

test("a summary groups keys by their first parts", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "w.safetensors");
  const keys = ["bias", "a.b.weight", "a.c.weight", "d.weight"];
  await writeSafetensors(file, new Map(keys.map((key) => [key, full([2, 3])])));
  const listing = await loadListing(file);
  const one = summarizeWeights(listing);
  assert.deepEqual([one.tensors, one.elements, one.bytes], [4, 24, 96]);
  assert.deepEqual([...one.groups.keys()].sort(), ["a", "bias", "d"]);
  assert.deepEqual(one.groups.get("a"), { tensors: 2, elements: 12, bytes: 48 });
  assert.deepEqual([...summarizeWeights(listing, { depth: 2 }).groups.keys()].sort(), [
    "a.b",
    "a.c",
    "bias",
    "d",
  ]);
});
