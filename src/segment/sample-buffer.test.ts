import assert from "node:assert/strict";
import test from "node:test";
import { SampleBuffer } from "./sample-buffer.js";

test("stretches of a stream, overlapping or apart, silent after its end", async () => {
  async function* source(): AsyncGenerator<Float32Array, void, undefined> {
    for (let at = 0; at < 10; at += 3) {
      yield Float32Array.from({ length: Math.min(3, 10 - at) }, (_, i) => at + i + 1);
    }
  }
  const buffer = new SampleBuffer(source());
  assert.deepEqual([...(await buffer.read(0, 4))], [1, 2, 3, 4]);
  assert.deepEqual([...(await buffer.read(2, 3))], [3, 4, 5]);
  assert.deepEqual([...(await buffer.read(7, 5))], [8, 9, 10, 0, 0]);
  assert.deepEqual([...(await buffer.read(20, 2))], [0, 0]);
});
