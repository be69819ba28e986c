import assert from "node:assert/strict";
import test from "node:test";
import { checkRate, fullStep, stepTimes, timed } from "./step-times.js";

test("as published: the last of sixteen samples; a last second needs four, or to be the only one", () => {
  assert.deepEqual(stepTimes(2), [
    { index: 0, timeSeconds: 0.9375, startSeconds: 0, coveredSeconds: 1 },
    { index: 1, timeSeconds: 1.9375, startSeconds: 1, coveredSeconds: 1 },
  ]);
  assert.equal(stepTimes(2.18).length, 2);
  const last = { index: 2, timeSeconds: 2.1875, startSeconds: 2, coveredSeconds: 0.25 };
  assert.deepEqual(stepTimes(2.25).at(-1), last);
  assert.deepEqual(stepTimes(0.04), [{ index: 0, timeSeconds: 0, startSeconds: 0, coveredSeconds: 1 / 16 }]);
  assert.deepEqual(stepTimes(0), stepTimes(0.04));
  // A duration that is a whole number of samples but for rounding.
  assert.equal(stepTimes(1 + 1e-9).length, 1);
});

test("higher rates: shifted series, all steps of a second with its sound", () => {
  const times = (duration: number, rate: number) => stepTimes(duration, rate).map((s) => s.timeSeconds);
  assert.deepEqual(times(1.5, 4), [3 / 16, 7 / 16, 11 / 16, 15 / 16, 19 / 16, 23 / 16]);
  assert.deepEqual(times(1.2, 2), [7 / 16, 15 / 16, 19 / 16]);
  assert.deepEqual(times(1.1, 2), [7 / 16, 15 / 16]);
  assert.deepEqual(fullStep(1, 4), { index: 1, timeSeconds: 7 / 16, startSeconds: 0, coveredSeconds: 1 });
  assert.deepEqual(fullStep(5, 4), {
    index: 5,
    timeSeconds: 23 / 16,
    startSeconds: 1,
    coveredSeconds: 1,
  });
  for (const rate of [1, 2, 3, 5, 8, 16, 25, 30]) {
    const steps = stepTimes(10, rate);
    // Every rate has the published steps among its own.
    for (const published of stepTimes(10)) {
      const same = steps.find(({ timeSeconds }) => Math.abs(timeSeconds - published.timeSeconds) < 1e-9);
      assert.ok(same && Math.abs(same.startSeconds - published.startSeconds) < 1e-9, `rate ${rate}`);
    }
    assert.ok(steps[0]!.timeSeconds < 1 / rate);
    assert.ok(steps.length === 10 * rate, `rate ${rate}: ${steps.length}`);
  }
});

test("items get their steps; the last ones cover what the video has of their second", async () => {
  async function* items(): AsyncGenerator<string, void, undefined> {
    yield* "abcdef";
  }
  const steps: unknown[] = [];
  for await (const [time, item] of timed(items(), { rate: 4, samples: async () => 21 })) {
    steps.push([item, time.timeSeconds, time.startSeconds, time.coveredSeconds]);
  }
  assert.deepEqual(steps, [
    ["a", 3 / 16, 0, 1],
    ["b", 7 / 16, 0, 1],
    ["c", 11 / 16, 0, 1],
    ["d", 15 / 16, 0, 1],
    ["e", 19 / 16, 1, 5 / 16],
  ]);
});

test("a rate is a small integer", () => {
  for (const rate of [0, 0.5, 31, Number.NaN]) {
    assert.throws(() => checkRate(rate), {
      name: "RangeError",
      message: `rate: expected an integer from 1 to 30 masks per second, got ${rate}`,
    });
  }
  checkRate(30);
});
