import assert from "node:assert/strict";
import test from "node:test";
import { type ArchiveModel, simulateArchive } from "./simulate-archive.js";

const base: ArchiveModel = {
  videos: 12,
  workers: 1,
  slotsPerWorker: 1,
  coresPerWorker: Number.POSITIVE_INFINITY,
  startSeconds: 0,
  openSeconds: 0,
  videoSeconds: () => 2,
  waitSeconds: 0,
  serverSecondsPerVideo: 0,
  serverSecondsPerSlotSecond: 0,
};
const seconds = (change: Partial<ArchiveModel>): number => simulateArchive({ ...base, ...change }).seconds;
const near = (actual: number, expected: number): void => {
  assert.ok(Math.abs(actual - expected) < 1e-6 * expected, `${actual}, expected ${expected}`);
};

test("slots work side by side, after a start and the opening of their models", () => {
  near(seconds({}), 24);
  near(seconds({ workers: 4 }), 6);
  near(seconds({ workers: 5 }), 6);
  near(seconds({ startSeconds: 3, openSeconds: 1, waitSeconds: 0.5 }), 3 + 1 + 12 * 2.5);
});

test("slots share the cores of their machine, with its other processes", () => {
  near(seconds({ slotsPerWorker: 4, coresPerWorker: 2 }), 12);
  near(seconds({ workers: 4, coresPerWorker: 2, oneMachine: true }), 12);
  near(seconds({ workers: 4, coresPerWorker: 2 }), 6);
  near(seconds({ slotsPerWorker: 2, coresPerWorker: 2, otherProcesses: 2 }), 24);
  // The long video has both cores to itself at the end, of which it uses one.
  const videoSeconds = (video: number): number => (video === 0 ? 8 : 2);
  near(seconds({ videos: 3, slotsPerWorker: 3, coresPerWorker: 2, videoSeconds }), 3 + 6);
});

test("a slot that keeps several cores busy is faster where they are free", () => {
  near(seconds({ coresPerSlot: 1.5 }), 16);
  near(seconds({ coresPerSlot: 1.5, coresPerWorker: 2 }), 16);
  near(seconds({ coresPerSlot: 1.5, coresPerWorker: 2, slotsPerWorker: 2 }), 12);
  // Three threads for the slot and three others: half of two cores.
  near(seconds({ coresPerSlot: 3, coresPerWorker: 2, otherProcesses: 3 }), 24);
});

test("a server that takes longer than the slots decides", () => {
  const run = simulateArchive({
    ...base,
    videos: 100,
    workers: 50,
    serverSecondsPerVideo: 0.1,
    videoSeconds: () => 1,
  });
  near(run.seconds, 11);
  near(run.serverBusy, 10 / 11);
  const busy = simulateArchive({ ...base, serverSecondsPerVideo: 0.1, serverSecondsPerSlotSecond: 0.5 });
  near(busy.seconds, 12 * 2.2);
  assert.equal(seconds({ workers: 10, serverSecondsPerSlotSecond: 0.1 }), Number.POSITIVE_INFINITY);
});

test("an archive without videos or workers is refused", () => {
  assert.throws(() => simulateArchive({ ...base, videos: 0 }), RangeError);
  assert.throws(() => simulateArchive({ ...base, workers: 0 }), RangeError);
});
