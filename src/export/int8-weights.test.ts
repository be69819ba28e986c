/** Weights as bytes of seven bits. */
import assert from "node:assert/strict";
import test from "node:test";
import { seededUniform } from "../../test/support.js";
import { CheckpointError } from "../errors.js";
import { channelsInnermost, maxInt8Weight, quantizeRows } from "./int8-weights.js";

test("a scale per output channel by its largest weight, transposed, symmetric", () => {
  const { values, scales } = quantizeRows(Float32Array.of(1, -2, 0.5, 0, 0, 0), 2, { name: "w" });
  assert.deepEqual([...scales], [2 / 64, 0]);
  assert.deepEqual([...values], [32, 0, -64, 0, 16, 0]);
});

test("every byte is the nearest to its weight, and none is larger than the limit", () => {
  const [outputs, inputs] = [50, 37];
  const w = seededUniform("rows", outputs * inputs).map((u, k) => u * 1.1 ** (k % 17) * 1e-3);
  const { values, scales } = quantizeRows(w, outputs, { name: "w" });
  for (let o = 0; o < outputs; o++) {
    const row = Array.from({ length: inputs }, (_, i) => values[i * outputs + o]!);
    assert.equal(Math.max(...row.map(Math.abs)), maxInt8Weight, "the largest weight takes the whole range");
    row.forEach((value, i) => {
      const error = Math.abs(w[o * inputs + i]! / scales[o]! - value);
      assert.ok(error <= 0.5 + 1e-5, `weight ${o},${i} is ${error} steps off`);
    });
  }
});

test("weights that are not finite are named", () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(
      () => quantizeRows(Float32Array.of(1, 2, 3, bad), 2, { name: "decoder.w" }),
      (error) =>
        error instanceof CheckpointError &&
        error.message === `decoder.w: expected finite weights, output channel 1 has ${bad}`,
    );
  }
});

test("a kernel with its channels innermost", () => {
  const kernel = Float32Array.of(0, 1, 2, 3, 10, 11, 12, 13); // [O=1,C=2,positions=4]
  assert.deepEqual([...channelsInnermost(kernel, 1, 4)], [0, 10, 1, 11, 2, 12, 3, 13]);
});
