import assert from "node:assert/strict";
import test from "node:test";
import { CheckpointError } from "../errors.js";
import { f32, full, type StateDict, type Tensor } from "../tensor.js";
import { bytesSource } from "./byte-source.js";
import { encodeSafetensors } from "./safetensors.js";
import { listWeights, matchStateDict, readStateDict } from "./state-dict.js";

const found: StateDict = new Map<string, Tensor>([
  ["encoder.b", full([3], 2)],
  ["encoder.a", { dtype: "f64", shape: [2], data: Float64Array.of(0.1, 2) }],
  ["encoder.head.weight", full([1])],
  ["other", full([1])],
]);
const expected = [
  { key: "a", shape: [2] },
  { key: "b", shape: [3] },
  { key: "n", shape: [], dtype: "i64", optional: true },
] as const;

test("a prefix takes a part of the file, in the expected order, doubles rounded", () => {
  const options = { file: "x.pth", prefix: "encoder.", ignore: (key: string) => key.startsWith("head.") };
  const matched = matchStateDict(expected, found, options);
  assert.deepEqual([...matched.keys()], ["a", "b"]);
  assert.deepEqual(matched.get("a"), f32([0.1, 2], [2]));
});

test("missing, unexpected and mis-shaped keys are listed, the first few of each", () => {
  const many = Array.from({ length: 7 }, (_, i) => ({ key: `m${i}`, shape: [1] }));
  const wanted = [{ key: "a", shape: [4] }, { key: "b", shape: [3], dtype: "i64" as const }, ...many];
  assert.throws(
    () => matchStateDict(wanted, found, { file: "x.pth", prefix: "encoder." }),
    (error) => {
      assert.ok(error instanceof CheckpointError);
      assert.equal(
        error.message,
        "x.pth: does not fit the model (below encoder.): 7 missing: m0, m1, m2, m3, m4, ...; " +
          "2 of another shape or type: a is f64[2], expected f32[4], b is f32[3], expected i64[3]; " +
          "1 unexpected: head.weight",
      );
      return true;
    },
  );
});

test("a file without parameters is refused", async () => {
  const empty = () => bytesSource("none.safetensors", Buffer.concat([...encodeSafetensors(new Map())]));
  await assert.rejects(listWeights(empty()), /none\.safetensors: expected parameters/);
  await assert.rejects(readStateDict(empty()), /none\.safetensors: expected parameters/);
});
