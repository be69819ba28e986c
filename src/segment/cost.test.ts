import assert from "node:assert/strict";
import test from "node:test";
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
