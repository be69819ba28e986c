import assert from "node:assert/strict";
import test from "node:test";
import { logMelOf } from "../../test/support.js";
import { batchedPredictor, type ClipBatch } from "./predictor.js";

const config = { frameCount: 2, imageSize: 1, classes: ["sounding object"] };

/** Clips whose frames, log-mels and masks all hold the number of the clip. */
function batchOf(clips: number): ClipBatch {
  const n = clips * config.frameCount;
  const clipOf = (_: unknown, frame: number) => Math.floor(frame / config.frameCount);
  return {
    frames: {
      dtype: "u8",
      shape: [n, 1, 1, 3],
      data: Uint8Array.from({ length: 3 * n }, (_, i) => clipOf(_, Math.floor(i / 3))),
    },
    logMel: { dtype: "f32", shape: [n, 1], data: Float32Array.from({ length: n }, clipOf) },
    frameMask: { dtype: "f32", shape: [n], data: Float32Array.from({ length: n }, clipOf) },
  };
}

/** A predictor whose logits are 100 * run + 10 * place in the run + clip; `runs` lists the clips of every run. */
function countingPredictor(clipsPerRun: number) {
  const runs: number[][] = [];
  const predictor = batchedPredictor({
    config,
    clipsPerRun,
    async run(batch) {
      const { frames, frameMask } = batch;
      const logMel = logMelOf(batch);
      assert.equal(frames.shape[0], clipsPerRun * config.frameCount);
      assert.deepEqual(
        frames.data.filter((_, i) => i % 3 === 0),
        Uint8Array.from(logMel.data),
      );
      assert.deepEqual(logMel.data, frameMask.data);
      runs.push([...logMel.data].filter((_, i) => i % config.frameCount === 0));
      return { dtype: "f32", shape: [logMel.data.length, 1, 1, 1], data: logMel.data.slice() };
    },
    async close() {},
  });
  return { predictor, runs };
}

test("a batch is cut into runs, and the last run is filled up with its last clip", async () => {
  const { predictor, runs } = countingPredictor(2);
  const logits = await predictor.predict(batchOf(5));
  assert.deepEqual(runs, [
    [0, 1],
    [2, 3],
    [4, 4],
  ]);
  assert.deepEqual(logits.shape, [10, 1, 1, 1]);
  assert.deepEqual([...logits.data], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
});

test("a batch of the model's own size is passed on as it is", async () => {
  const { predictor, runs } = countingPredictor(3);
  assert.deepEqual([...(await predictor.predict(batchOf(3))).data], [0, 0, 1, 1, 2, 2]);
  assert.deepEqual(runs, [[0, 1, 2]]);
});

test("frames that are not whole clips are refused", async () => {
  const { predictor } = countingPredictor(1);
  const { frames, ...rest } = batchOf(2);
  const odd = { ...rest, frames: { ...frames, shape: [3, 1, 1, 3] } };
  await assert.rejects(predictor.predict(odd), /3 frames are not whole clips of 2/);
  await assert.rejects(
    predictor.predict({ ...rest, frames: { ...frames, shape: [0, 1, 1, 3] } }),
    /RangeError/,
  );
});
