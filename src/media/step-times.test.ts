import assert from "node:assert/strict";
import test from "node:test";
import { fullStepAt, lastStepAt, stepTimes } from "./step-times.js";

test("a step's frame is the last of sixteen samples; a last second needs four, or to be the only one", () => {
  assert.deepEqual(stepTimes(2), [
    { index: 0, timeSeconds: 0.9375, coveredSeconds: 1 },
    { index: 1, timeSeconds: 1.9375, coveredSeconds: 1 },
  ]);
  assert.equal(stepTimes(2.18).length, 2);
  assert.deepEqual(stepTimes(2.25).at(-1), { index: 2, timeSeconds: 2.1875, coveredSeconds: 0.25 });
  assert.deepEqual(stepTimes(0.04), [{ index: 0, timeSeconds: 0, coveredSeconds: 1 / 16 }]);
  assert.deepEqual(stepTimes(0), [{ index: 0, timeSeconds: 0, coveredSeconds: 1 / 16 }]);
  // A duration that is a whole number of samples but for rounding.
  assert.equal(stepTimes(1 + 1e-9).length, 1);
});

test("counting samples as they come gives the same steps", () => {
  for (const samples of [1, 3, 4, 15, 16, 17, 19, 20, 32, 83]) {
    const counted = Array.from({ length: samples }, (_, i) => fullStepAt(i + 1) ?? []).flat();
    assert.deepEqual(
      [...counted, ...[lastStepAt(samples) ?? []].flat()],
      stepTimes(samples / 16),
      `${samples}`,
    );
  }
});
