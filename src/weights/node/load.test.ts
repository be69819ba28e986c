import assert from "node:assert/strict";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { referencePath } from "../../../test/reference.js";
import { tempDir } from "../../../test/temp-dir.js";
import { CheckpointError } from "../../errors.js";
import { placeOf } from "../../file-tensor.js";
import { f32, type Tensor } from "../../tensor.js";
import { bytesSource } from "../byte-source.js";
import { readStateDict } from "../state-dict.js";
import { hashFile } from "./hash-file.js";
import { loadListing, loadStateDict } from "./load.js";
import { writeSafetensors } from "./safetensors-file.js";

/** Files written by PyTorch and huggingface_hub; `tools/reference/weight_forms.py` makes them. */
const forms = referencePath("weight-forms");
const index = "model.safetensors.index.json";

async function valuesIn(file: string): Promise<Record<string, number[]>> {
  const { tensors } = await loadStateDict(file);
  return Object.fromEntries([...tensors].map(([key, { data }]) => [key, Array.from(data, Number)]));
}

/** A copy of the sharded file, to be damaged. */
async function shardedCopy(t: TestContext): Promise<string> {
  const dir = await tempDir(t);
  await cp(path.join(forms, "sharded"), dir, { recursive: true });
  return dir;
}

test("PyTorch files without checksums, with lazily negated tensors and of compiled models are read", async () => {
  const six = [0, 1, 2, 3, 4, 5];
  const negative = six.map((value) => -value);
  const file = (name: string) => path.join(forms, name);
  assert.deepEqual(await valuesIn(file("unchecked.pth")), { "a.weight": six, "a.bias": [0, 1, 2, 3] });
  assert.deepEqual(await valuesIn(file("negated.pth")), { "a.weight": negative, "a.bias": [0, 1, 2, 3] });
  assert.deepEqual(await valuesIn(file("imaginary.pth")), { "a.weight": negative });
  assert.deepEqual(await valuesIn(file("compiled.pth")), { "0.weight": six, "0.bias": [0, 1] });
  await assert.rejects(
    valuesIn(file("conjugate.pth")),
    /CheckpointError: .*conjugate\.pth: .*not supported \(torch\.ComplexFloatStorage\)/,
  );
});

test("floats and halves can stay in their file until they are used, with the same values", async (t) => {
  const state = new Map<string, Tensor>([
    ["w", f32([1, -2.5, 0.125, 6, 7, 8], [2, 3])],
    ["n", { dtype: "i64", shape: [1], data: BigInt64Array.of(3n) }],
  ]);
  for (const dtype of ["f32", "f16"] as const) {
    const file = path.join(await tempDir(t), "a.safetensors");
    await writeSafetensors(file, state, { dtype });
    const { tensors } = await loadStateDict(file, { inPlace: true });
    const [w, n] = [tensors.get("w") ?? assert.fail(), tensors.get("n") ?? assert.fail()];
    const { location = "", length, halves } = placeOf(w) ?? {};
    assert.equal(path.basename(location), "a.safetensors");
    assert.deepEqual([length, halves], dtype === "f16" ? [12, "f16"] : [24, undefined]);
    assert.deepEqual([n.data, placeOf(n)], [BigInt64Array.of(3n), undefined]);
    assert.deepEqual(w, state.get("w"));
  }
});

test("weights in several files are read by their index and by their folder", async () => {
  const expected = {
    "a.weight": [0, 1, 2, 3, 4, 5],
    "a.bias": [0, 1, 2, 3],
    "b.weight": [6, 7, 8, 9, 10, 11],
    "b.bias": [4, 5, 6, 7],
  };
  const folder = path.join(forms, "sharded");
  for (const place of [folder, path.join(folder, index)]) {
    assert.deepEqual(await valuesIn(place), expected);
    const { format, tensors } = await loadListing(place);
    assert.equal(format, "safetensors");
    assert.deepEqual(tensors.get("b.weight")?.shape, [2, 3]);
  }
});

test("the hash of an index covers its shards", async (t) => {
  const dir = await shardedCopy(t);
  const place = path.join(dir, index);
  const before = await hashFile(place);
  const shard = path.join(dir, "model-00002-of-00002.safetensors");
  const bytes = await readFile(shard);
  bytes[bytes.length - 1] = 0x7f;
  await writeFile(shard, bytes);
  assert.notEqual(await hashFile(place), before);
});

test("malformed indices and folders without weights are refused", async (t) => {
  const dir = await shardedCopy(t);
  const place = path.join(dir, index);
  const cases: [string, RegExp][] = [
    ["{}", /expected an object with the file of every key, found nothing \(weight_map\)/],
    ["{", /not valid JSON/],
    ['{"weight_map":{}}', /names no shards/],
    ['{"weight_map":{"a.weight":"../x"}}', /expected the name of a file beside the index, found "\.\.\/x"/],
    ['{"weight_map":{"a.weight":".."}}', /expected the name of a file beside the index/],
    [`{"weight_map":{"a.weight":"${"x".repeat(300)}"}}`, /expected the name of a file beside the index/],
    ['{"weight_map":{"a.weight":3}}', /expected the name of a file beside the index, found 3/],
    [`{"weight_map":{"a.weight":"${index}"}}`, /an index of shards, expected a shard/],
    ['{"weight_map":{"a.weight":"absent.safetensors"}}', /cannot read .*absent\.safetensors/],
    ['{"weight_map":{"c":"model-00001-of-00002.safetensors"}}', /its shard model-00001-.* lacks c/],
  ];
  for (const [text, message] of cases) {
    await writeFile(place, text);
    await assert.rejects(loadStateDict(dir), (error) => {
      assert.ok(error instanceof CheckpointError, text);
      assert.match(error.message, message, text);
      return true;
    });
  }
  await assert.rejects(readStateDict(bytesSource(index, Buffer.from(cases[2]?.[0] ?? ""))), {
    message: /expected one file/,
  });
  const empty = path.join(dir, "empty");
  await mkdir(empty);
  await assert.rejects(loadStateDict(empty), /a folder without an index of shards/);
});
