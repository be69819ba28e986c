/** EfficientNet-Lite and aiSFX together: both train when they are unfrozen, and the natural model survives its exports. */
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { checkConfig } from "../src/config/validate.js";
import { writeSoundShapes } from "../src/datasets/sound-shapes/write.js";
import { exportModel, openModel, segmentVideo } from "../src/index.js";
import { NATURAL_EXAMPLE, NATURAL_MODEL } from "../src/segment/node/shipped-models.js";
import { loadCheckpoint } from "../src/training/checkpoint.js";
import { openTraining } from "../src/training/open-training.js";
import { runFiles } from "../src/training/run-files.js";
import { differing } from "./browser-clip.js";
import { labelsOf } from "./recorder.js";
import { tempDir } from "./temp-dir.js";

test("unfrozen, both encoders train: gradients reach all of their parameters", async (t) => {
  const dir = await tempDir(t);
  const root = path.join(dir, "data");
  await writeSoundShapes({ task: "s4", root, counts: { train: 2, val: 1, test: 1 }, imageSize: 32 });
  const value = {
    task: "s4",
    model: {
      visual: { kind: "efficientnet-lite", width: 0.25, freezeEpochs: 0 },
      audio: { kind: "aisfx", width: 2, train: true },
      messenger: { frames: 1 },
      decoder: { convDim: 8, heads: 4 },
    },
    data: { root, imageSize: 32, batchSize: 2, workers: 0 },
    training: { epochs: 1, evaluateFrom: 1 },
    runtime: { threads: 1 },
  };
  const workDir = path.join(dir, "run");
  const training = await openTraining({
    config: checkConfig({ value, where: () => "test" }),
    workDir,
    existing: "refuse",
  });
  await training.trainer.run({});
  await training.close();
  const { parameters, optimizer = assert.fail("no optimizer state") } = await loadCheckpoint(
    runFiles(workDir).last,
  );
  const moments = [...optimizer].filter(([key]) => key.endsWith(".exp_avg"));
  for (const encoder of ["visual_encoder", "audio_encoder"]) {
    const isOwn = ([key]: readonly [string, unknown]) =>
      key.startsWith(`${encoder}.`) && !/\.(running_mean|running_var|num_batches_tracked)$/.test(key);
    const reached = moments.filter(isOwn);
    assert.ok(reached.length > 10, `${encoder}: ${reached.length} parameters train`);
    assert.equal(reached.length, [...parameters].filter(isOwn).length, `${encoder}: some do not train`);
    for (const [key, { data }] of reached) assert.ok(data.some(Boolean), `${key} gets no gradient`);
  }
});

test("exported in every precision, the natural model marks what it marks as a checkpoint", async (t) => {
  const dir = await tempDir(t);
  const marks = async (checkpoint: string): Promise<string> => {
    const model = await openModel({ checkpoint, cache: false, runtime: { threads: 1 } });
    const seconds = await labelsOf(segmentVideo, NATURAL_EXAMPLE, model);
    await model.close();
    return seconds.map(({ labels }) => labels).join("");
  };
  const expected = await marks(NATURAL_MODEL.file);
  const marked = [...expected].filter((label) => label !== "\0").length / expected.length;
  assert.ok(marked > 0.02 && marked < 0.9, `${marked} of the pixels are marked: nothing to compare`);
  for (const [precision, most] of [
    ["fp32", 0.0002],
    ["fp16-weights", 0.002],
    ["int8", 0.01],
  ] as const) {
    const out = path.join(dir, `${precision}.onnx`);
    await exportModel({ checkpoint: NATURAL_MODEL.file, out, precision });
    const share = differing(await marks(out), expected);
    t.diagnostic(`${precision}: ${share} of the pixels differ`);
    assert.ok(share <= most, `${precision}: ${share} of the pixels differ`);
  }
});
