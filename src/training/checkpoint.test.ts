import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { tempDir } from "../../test/temp-dir.js";
import { modelFromConfig } from "../config/model-from-config.js";
import { checkConfig } from "../config/validate.js";
import { CheckpointError } from "../errors.js";
import { createOptimizer } from "../optim/optimizers.js";
import { f32 } from "../tensor.js";
import { startOfRun } from "../weights/checkpoint.js";
import { writeSafetensors } from "../weights/node/safetensors-file.js";
import { type Checkpoint, loadCheckpoint, readCheckpointInfo, saveCheckpoint } from "./checkpoint.js";

function example(): Checkpoint {
  const value = f32([1, -2], [2]);
  const optimizer = createOptimizer({ kind: "adamw" });
  optimizer.step([{ name: "decoder.w", value, gradient: Float32Array.of(0.3, 0.1) }], 0.1);
  const config = checkConfig({ value: { task: "s4" }, where: () => "test" });
  return {
    config,
    model: modelFromConfig(config),
    frozen: { visual_encoder: { file: "pvt.pth", sha256: "00" } },
    progress: {
      ...startOfRun,
      epoch: 1,
      lossSum: 0.1 + 0.2,
      best: { epoch: 0, value: 1 / 3 },
      history: [{ epoch: 0, loss: 0.25, learningRate: 6e-5, validation: { miou: 0.5 } }],
    },
    parameters: new Map([["decoder.w", value]]),
    optimizer: optimizer.state(),
    live: new Map([["decoder.w", f32([3, 4], [2])]]),
  };
}

test("a checkpoint comes back as it was, and equal ones are equal bytes", async (t) => {
  const dir = await tempDir(t);
  const [a, b] = [path.join(dir, "a.safetensors"), path.join(dir, "b.safetensors")];
  await saveCheckpoint(a, example());
  const loaded = await loadCheckpoint(a);
  assert.deepEqual(loaded, example());
  await saveCheckpoint(b, loaded);
  assert.deepEqual(await readFile(a), await readFile(b));
  assert.deepEqual((await readCheckpointInfo(a)).progress, example().progress);
});

test("other files, damaged and truncated ones are refused", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "x.safetensors");
  await writeSafetensors(file, new Map([["w", f32([1], [1])]]));
  await assert.rejects(loadCheckpoint(file), /expected a checkpoint of avseg/);
  await writeSafetensors(file, new Map(), { metadata: { format: "avseg-checkpoint-1", config: "{}" } });
  await assert.rejects(loadCheckpoint(file), /its config cannot be read/);
  await saveCheckpoint(file, example());
  const bytes = await readFile(file);
  await writeFile(file, bytes.subarray(0, bytes.length - 3));
  await assert.rejects(loadCheckpoint(file), CheckpointError);
  await assert.rejects(loadCheckpoint(path.join(dir, "absent.safetensors")), CheckpointError);
});
