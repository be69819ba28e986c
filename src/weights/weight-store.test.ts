import assert from "node:assert/strict";
import test from "node:test";
import { asF32, type StateDict, type Tensor } from "../tensor.js";
import { WeightStore } from "./weight-store.js";

/** Weights of which "a" and "b" share one buffer, and the number of times they were read. */
function countedStore(isResident: (key: string) => boolean = () => false) {
  const counts = { loads: 0 };
  const load = async (): Promise<StateDict> => {
    counts.loads++;
    const shared = Float32Array.of(1, 2, 3, 4);
    const own = Float32Array.of(5);
    return new Map<string, Tensor>([
      ["a", { dtype: "f32", shape: [2], data: shared.subarray(0, 2) }],
      ["b", { dtype: "f32", shape: [2], data: shared.subarray(2) }],
      ["c", { dtype: "f32", shape: [1], data: own }],
    ]);
  };
  return { counts, store: new WeightStore({ load, isResident }) };
}

const valuesOf = (weights: { get(key: string): unknown }, key: string): number[] => {
  const tensor = weights.get(key);
  assert.ok(tensor instanceof Object && "data" in tensor && tensor.data instanceof Float32Array);
  return [...tensor.data];
};

test("what is lent stays in the store", async () => {
  const { store, counts } = countedStore();
  const lent = await store.lend(["a", "c"]);
  assert.deepEqual([...lent.keys()], ["a", "c"]);
  assert.equal(asF32(lent.get("c") ?? assert.fail(), "c").data.buffer.byteLength, 4);
  await store.lend(["a", "b", "c"]);
  assert.equal(counts.loads, 1);
});

test("what is taken leaves the store, and is read again when it is needed again", async () => {
  const { store, counts } = countedStore();
  const { tensors } = await store.take(["c"]);
  assert.deepEqual(valuesOf(tensors, "c"), [5]);
  await store.lend(["a", "b"]);
  assert.equal(counts.loads, 1);
  assert.deepEqual(valuesOf((await store.take(["c"])).tensors, "c"), [5]);
  assert.equal(counts.loads, 2);
});

test("taken tensors never share memory with another", async () => {
  const { store } = countedStore();
  const { tensors } = await store.take(["a", "b"]);
  const buffers = [...tensors.values()].map(({ data }) => data.buffer);
  assert.equal(new Set(buffers).size, 2);
  structuredClone(null, { transfer: buffers });
  assert.deepEqual(valuesOf(await store.lend(["c"]), "c"), [5]);
});

test("resident weights are handed over as copies, and keep their values when others are read again", async () => {
  const { store, counts } = countedStore((key) => key === "c");
  await store.lend(["a"]);
  const own = asF32(store.resident.get("c") ?? assert.fail(), "c");
  own.data[0] = 7;
  const { tensors } = await store.take(["a", "c"]);
  assert.deepEqual(valuesOf(tensors, "c"), [7]);
  own.data[0] = 8;
  assert.deepEqual(valuesOf(tensors, "c"), [7]);
  store.release();
  assert.deepEqual(valuesOf(await store.lend(["b", "c"]), "c"), [8]);
  assert.equal(counts.loads, 2);
  assert.deepEqual([...store.resident.keys()], ["c"]);
});

test("releasing frees what is held at once", async () => {
  const { store } = countedStore();
  const lent = await store.lend(["c"]);
  store.release();
  assert.equal(asF32(lent.get("c") ?? assert.fail(), "c").data.length, 0);
});

test("an unknown parameter is named", async () => {
  await assert.rejects(countedStore().store.take(["d"]), /the model has no parameter "d"/);
});
