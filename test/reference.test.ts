/** The reader of reference data refuses what is missing, and compares sampled tensors with whole ones. */
import assert from "node:assert/strict";
import test from "node:test";
import { f32 } from "../src/tensor.js";
import { reference, referencePath } from "./reference.js";

test("a missing file or tensor is an error", async () => {
  await assert.rejects(reference("absent"), /absent\.safetensors: reference data is missing/);
  assert.throws(() => referencePath("images", "absent.png"), /reference data is missing/);
  const ref = await reference("vggish");
  assert.throws(() => ref.tensor("absent"), /vggish: no tensor absent/);
  assert.throws(() => ref.assertClose(undefined, "embedding", 1), /nothing to compare with embedding/);
});

test("a sampled tensor is compared at its stride, by shape and by value", async () => {
  const ref = await reference("messenger_32");
  const key = "grad:intermediate_query_proj.weight";
  const [shape, stride, stored] = [[256, 128], ref.stride(key), ref.floats(key)];
  assert.equal(stride, 17);
  assert.equal(stored.length, Math.ceil((256 * 128) / stride));
  const whole = f32(new Float32Array(256 * 128), shape);
  for (const [i, value] of stored.entries()) whole.data[i * stride] = value;
  ref.assertClose(whole, key, 0);
  assert.throws(() => ref.assertClose(f32(whole.data, [128, 256]), key, 0), /shape of grad/);
  whole.data[5 * stride] = Number.NaN;
  assert.throws(() => ref.assertClose(whole, key, 1e-4), /relative error NaN, allowed 0\.0001/);
  whole.data[5 * stride] = (stored[5] ?? 0) + 1;
  assert.throws(() => ref.assertClose(whole, key, 1e-4), /relative error/);
});
