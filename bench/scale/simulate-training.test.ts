import assert from "node:assert/strict";
import test from "node:test";
import { clipSeconds, reduceSeconds, simulateTraining, type TrainingModel } from "./simulate-training.js";

const base: TrainingModel = {
  clipSeconds: { one: 4, two: 2.5 },
  deviation: 0,
  updateSeconds: 0.5,
  openSeconds: 0,
  trainedParameters: 1e6,
  clips: 40,
  validationClips: 10,
  epochs: 2,
  evaluations: 1,
  forwardFraction: 0.5,
  batchSize: 4,
  ranks: 1,
  threadsPerRank: 1,
  hosts: 1,
  network: { bytesPerSecond: 1e8, latencySeconds: 1e-3, hostBytesPerSecond: 8e7 },
};
const near = (actual: number, expected: number): void => {
  assert.ok(Math.abs(actual - expected) < 1e-6 * expected, `${actual}, expected ${expected}`);
};

test("a rank computes its clips one after another, then all change their weights", () => {
  const one = simulateTraining(base);
  near(one.stepSeconds, 16.5);
  near(one.seconds, 20 * 16.5 + 10 * 2);
  assert.equal(one.waiting, 0);
  const two = simulateTraining({ ...base, ranks: 2 });
  near(two.stepSeconds, 8 + 0.1 + 0.5);
  near(two.seconds, 20 * 8.6 + 5 * 2);
  near(two.reducing, 0.1 / 8.6);
});

test("ranks that have fewer clips wait; more ranks than clips gain nothing", () => {
  const three = simulateTraining({ ...base, ranks: 3 });
  near(three.stepSeconds, 8 + reduceSeconds({ ...base, ranks: 3 }) + 0.5);
  near(three.waiting, (8 - 16 / 3) / three.stepSeconds);
  const [four, eight] = [4, 8].map((ranks) => simulateTraining({ ...base, ranks, hosts: ranks }));
  assert.ok(four && eight && eight.stepSeconds >= four.stepSeconds);
});

test("times that vary make all ranks wait for the slowest", () => {
  const many = { ...base, ranks: 16, batchSize: 16 };
  assert.equal(simulateTraining(many).waiting, 0);
  const varied = simulateTraining({ ...many, deviation: 0.1 });
  // The largest of 16 normal draws is 1.77 deviations above their mean.
  assert.ok(Math.abs(varied.waiting * varied.stepSeconds - 1.77 * 0.4) < 0.03, `${varied.waiting}`);
});

test("threads divide a part of a clip's time", () => {
  near(clipSeconds(base, 1), 4);
  near(clipSeconds(base, 2), 2.5);
  near(clipSeconds(base, 4), 1.75);
});

test("the sum goes around a ring of ranks, over the network where they are on several hosts", () => {
  const sum = (ranks: number, hosts: number): number => reduceSeconds({ ...base, ranks, hosts });
  assert.equal(sum(1, 1), 0);
  near(sum(2, 1), 0.1);
  near(sum(2, 2), 0.1 + 0.08 + 2e-3);
  near(sum(4, 1), 0.15);
  near(sum(4, 2), 1.5 * (0.1 + 0.08) + 6e-3);
  near(sum(16, 16), ((2 * 15) / 16) * (0.1 + 0.08) + 30e-3);
});

test("a tree of ranks passes all bytes up and down, one link after another", () => {
  const network = { ...base.network, sum: "tree" } as const;
  const sum = (ranks: number, hosts: number): number => reduceSeconds({ ...base, ranks, hosts, network });
  assert.equal(sum(1, 1), 0);
  near(sum(2, 1), 0.1);
  near(sum(2, 2), 0.1 + 2 * 0.08 + 2e-3);
  near(sum(16, 16), 4 * (0.1 + 2 * 0.08 + 2e-3));
});

test("nothing to train is refused", () => {
  assert.throws(() => simulateTraining({ ...base, clips: 0 }), RangeError);
});
