/** A model with aiSFX as its audio encoder in training (augmented), evaluation and export. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import test, { after } from "node:test";
import { checkConfig } from "../src/config/validate.js";
import { openDataset } from "../src/datasets/avsbench/open-dataset.js";
import { toClipBatch } from "../src/datasets/clip-batch.js";
import { writeSoundShapes } from "../src/datasets/sound-shapes/write.js";
import { exportModel } from "../src/export/export-model.js";
import { EmbeddingCache } from "../src/inference/node/embedding-cache.js";
import { openPredictor } from "../src/inference/node/open-predictor.js";
import { loadCheckpoint } from "../src/training/checkpoint.js";
import { openTraining } from "../src/training/open-training.js";
import { runFiles } from "../src/training/run-files.js";
import { relativeError } from "./support.js";
import { tempDir } from "./temp-dir.js";

const dir = await tempDir({ after });
const root = path.join(dir, "data");
await writeSoundShapes({ task: "s4", root, counts: { train: 5, val: 1, test: 2 }, imageSize: 32 });

const config = checkConfig({
  value: {
    task: "s4",
    model: {
      visual: {
        kind: "pvt-v2",
        ...{ dims: [8, 8, 24, 32], depths: [1, 1, 1, 1], heads: [1, 2, 3, 4] },
        ...{ mlpRatios: [2, 2, 2, 2], reductions: [8, 4, 2, 1] },
      },
      audio: { kind: "aisfx", width: 2 },
      messenger: { frames: 1 },
      decoder: { convDim: 8, heads: 4 },
    },
    data: { root, imageSize: 32, batchSize: 2, workers: 0, audioCache: false },
    training: {
      epochs: 2,
      checkpointEverySteps: 1,
      augment: { flip: 0.5, crop: 0.3, color: 0.2, gain: 6, noise: 0.01, mixSound: 0.5, mixPicture: 0.5 },
    },
    runtime: { threads: 1 },
  },
  where: () => "test",
});

async function train(workDir: string, stopAfter = Number.POSITIVE_INFINITY): Promise<void> {
  const training = await openTraining({ config, workDir, existing: "resume" });
  const stop = new AbortController();
  let steps = 0;
  try {
    await training.trainer.run({
      signal: stop.signal,
      onEvent: ({ kind }) => {
        if (kind === "step" && ++steps === stopAfter) stop.abort();
      },
    });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    await training.close();
  }
}

const whole = path.join(dir, "whole");
await train(whole);

test("a run over augmented clips that was stopped and resumed has the bits of an uninterrupted one", async () => {
  const parts = path.join(dir, "parts");
  await train(parts, 2);
  await train(parts, 2);
  await train(parts);
  const [a, b] = await Promise.all([whole, parts].map((run) => loadCheckpoint(runFiles(run).last)));
  assert.equal(a?.progress.step, 6);
  assert.deepEqual(b?.parameters, a?.parameters);
  assert.equal(
    await readFile(runFiles(parts).metrics, "utf8"),
    await readFile(runFiles(whole).metrics, "utf8"),
  );
});

test("evaluation takes waves; cached embeddings and an exported model give the same logits", async () => {
  const { last: checkpoint } = runFiles(whole);
  const dataset = await openDataset({ task: "s4", root, split: "test", imageSize: 32, waves: true });
  const batch = toClipBatch([await dataset.load(0)]);
  const out = path.join(dir, "model.onnx");
  const exported = await exportModel({ checkpoint, out, precision: "fp32" });
  assert.deepEqual(
    exported.inputs.map(({ name, shape }) => `${name} ${shape}`),
    ["frames 5,32,32,3", "sound 1,80000"],
  );
  const results: Float32Array[] = [];
  for (const options of [
    { checkpoint },
    { checkpoint, embeddings: new EmbeddingCache({ dir: path.join(dir, "embeddings") }) },
    { checkpoint: out },
  ]) {
    const predictor = await openPredictor({ ...options, cache: false });
    assert.equal(predictor.soundForm, "wave");
    results.push(Float32Array.from((await predictor.predict(batch)).data));
    await assert.rejects(predictor.predict({ ...batch, sound: undefined }), /takes waves/);
    await predictor.close();
  }
  const [plain = new Float32Array(), ...others] = results;
  for (const other of others) assert.ok(relativeError(other, plain) < 1e-4);
});
