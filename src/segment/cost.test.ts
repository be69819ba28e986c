import assert from "node:assert/strict";
import test from "node:test";
import { measureRun } from "../inference/measure-run.js";
import type { ClipBatch, Predictor } from "../inference/predictor.js";
import { segmentationCost } from "./cost.js";

test("the cost is a run per window of each series", () => {
  const model = { frameCount: 5 };
  assert.deepEqual(segmentationCost(10, model), { predictions: 10, runs: 2 });
  assert.deepEqual(segmentationCost(11, model), { predictions: 11, runs: 3 });
  assert.deepEqual(segmentationCost(10, model, 8), { predictions: 80, runs: 16 });
  // Half a second more: four steps, each the only one of its window.
  assert.deepEqual(segmentationCost(10.5, model, 8), { predictions: 84, runs: 20 });
  assert.deepEqual(segmentationCost(0, model, 4), { predictions: 1, runs: 1 });
});

test("a run is measured with the inputs of every kind of model", async () => {
  for (const [soundForm, sounds] of [
    ["log-mel", [[3, 1, 96, 64], undefined]],
    ["wave", [undefined, [1, 48_000]]],
  ] as const) {
    const batches: ClipBatch[] = [];
    const model: Predictor = {
      ...{ frameCount: 3, imageSize: 2, maskSize: 2, classes: ["sounding"], clipsPerRun: 1, soundForm },
      async predict(batch) {
        batches.push(batch);
        return { dtype: "f32", shape: [3, 1, 2, 2], data: new Float32Array(12) };
      },
      async close() {},
    };
    assert.ok((await measureRun(model)) >= 0);
    const [{ frames, logMel, sound, frameMask } = assert.fail(), ...others] = batches;
    assert.equal(others.length, 0);
    const shapes = [frames, frameMask, logMel, sound].map((tensor) => tensor?.shape);
    assert.deepEqual(shapes, [[3, 2, 2, 3], [3], ...sounds]);
  }
});
