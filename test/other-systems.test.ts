/** Other published systems on the paths of this one: trained, resumed from, exported and run from published files. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { after } from "node:test";
import { configFromObject } from "../src/config/validate.js";
import { openDataset } from "../src/datasets/avsbench/open-dataset.js";
import { writeSoundShapes } from "../src/datasets/sound-shapes/write.js";
import { evaluate as evaluateDataset } from "../src/evaluation/evaluate.js";
import { withSound } from "../src/evaluation/sound-conditions.js";
import { exportModel } from "../src/export/export-model.js";
import { openPredictor } from "../src/inference/node/open-predictor.js";
import type { ClipBatch } from "../src/inference/predictor.js";
import type { AvsModelConfig } from "../src/models/model-config.js";
import { openTraining } from "../src/training/open-training.js";
import { loadSafetensors, writeSafetensors } from "../src/weights/node/safetensors-file.js";
import { assertClose, seededInput } from "./support.js";
import { tempDir } from "./temp-dir.js";
import {
  seededBatch,
  seededWeights,
  tinyAvsegformer,
  tinyDenseav,
  tinySelm,
  tinyTpavi,
} from "./tiny-models.js";

const dir = await mkdtemp(path.join(tmpdir(), "avseg-other-systems-"));
after(() => rm(dir, { recursive: true, force: true }));
const runtime = { threads: 1 };

function clipOf(config: AvsModelConfig): ClipBatch {
  const { frameCount: n } = config;
  const frameMask = Float32Array.from({ length: n }, (_, i) => (i < 7 ? 1 : 0));
  return {
    ...seededBatch(config, { logMelScale: 3 }),
    frameMask: { dtype: "f32", shape: [n], data: frameMask },
    sound: seededInput("sound", [1, n * 16_000], 0.5),
  };
}

async function logitsOf(options: Parameters<typeof openPredictor>[0], config: AvsModelConfig) {
  const predictor = await openPredictor({ ...options, runtime });
  try {
    assert.deepEqual(predictor.config, config);
    return (await predictor.predict(clipOf(config))).data;
  } finally {
    await predictor.close();
  }
}

/** The settings of a tiny model in a configuration. */
function configOf(model: typeof tinyTpavi | typeof tinyAvsegformer, root: string): object {
  const { visual, audio, imageSize, task } = model;
  if (visual.kind !== "pvt-v2") throw new Error("expected a PVTv2");
  const { dims, depths, mlpRatios } = visual;
  return {
    task,
    model: {
      kind: model.kind,
      visual: { kind: "pvt-v2", dims, depths, mlpRatios, freezeEpochs: 1 },
      audio: { widths: audio.widths, hidden: audio.hidden },
      ...("tpavi" in model ? { tpavi: model.tpavi } : { avsegformer: model.avsegformer }),
    },
    data: { root, imageSize, batchSize: 2, workers: 0 },
    training: { epochs: 2, evaluateFrom: 0, evaluateEvery: 1 },
    runtime,
  };
}

for (const model of [tinyTpavi, tinyAvsegformer]) {
  const { kind, task, imageSize } = model;
  test(`${kind}: its published recipe trains in ${task}; the checkpoint holds published keys`, async () => {
    const root = path.join(dir, task);
    await writeSoundShapes({ task, root, counts: { train: 4, val: 2, test: 1 }, imageSize });
    const config = configFromObject(configOf(model, root));
    const training = await openTraining({ config, workDir: path.join(dir, `run-${kind}`) });
    const losses: number[] = [];
    const { lastFile, best } = await training.trainer
      .run({ onEvent: (event) => void (event.kind === "step" && losses.push(event.loss)) })
      .finally(() => training.close());
    assert.ok(best !== undefined && losses.length >= 4, `${losses.length} steps`);
    assert.ok(losses.every(Number.isFinite));
    const { tensors } = await loadSafetensors(lastFile);
    const published = kind === "tpavi" ? "tpavi_b1.theta.weight" : "head.query_generator.query.weight";
    assert.ok(tensors.has(published));
    const encoder = kind === "tpavi" ? "encoder_backbone" : "backbone";
    assert.ok(tensors.has(`${encoder}.norm1.weight`), "the encoder trains from the second epoch on");

    const predictor = await openPredictor({ checkpoint: lastFile, runtime });
    assert.equal(predictor.config.kind, kind);
    await predictor.close();
  });
}

for (const model of [tinyTpavi, tinyAvsegformer, tinySelm, tinyDenseav]) {
  const { kind } = model;
  test(`${kind}: an exported model computes what the checkpoint does`, async () => {
    const checkpoint = path.join(dir, `${kind}.safetensors`);
    await writeSafetensors(checkpoint, seededWeights(model), {
      metadata: { format: "avseg-checkpoint-1", model: JSON.stringify(model) },
    });
    const out = path.join(dir, `${kind}.onnx`);
    await exportModel({ checkpoint, out });
    const expected = await logitsOf({ checkpoint }, model);
    assertClose(await logitsOf({ checkpoint: out }, model), expected, 1e-5, "logits");
  });
}

test("selm: a published file is recognized, and scored where its logits are smaller than its frames", async () => {
  const checkpoint = path.join(dir, "selm-published.safetensors");
  await writeSafetensors(checkpoint, seededWeights(tinySelm));
  const root = path.join(dir, "selm-data");
  const { task, imageSize, frameCount, selm } = tinySelm;
  await writeSoundShapes({ task, root, counts: { train: 0, val: 0, test: 2 }, imageSize });
  const sizes = { imageSize, maskSize: selm.maskSize, frameCount };
  const dataset = await openDataset({ task, root, split: "test", ...sizes });
  // The number of groups and the size of the masks leave no trace in a file.
  const predictor = await openPredictor({ checkpoint, config: tinySelm, runtime });
  try {
    assert.equal(predictor.maskSize, 32);
    const { clips, summary } = await evaluateDataset(predictor, dataset, { workers: 0 });
    assert.equal(clips.length, 2);
    assert.ok(summary.miou > 0 && summary.miou < 1);
  } finally {
    await predictor.close();
  }
  const config = configFromObject({ task, model: { kind: "selm" }, data: { root } });
  await assert.rejects(openTraining({ config, workDir: path.join(dir, "run-selm") }), {
    name: "ConfigError",
    message: "model.kind: models of kind selm are not trained here",
  });
});

test("denseav: published files of every form are recognized, and config.json beside them is obeyed", async (t) => {
  const folder = await tempDir(t);
  const checkpoint = path.join(folder, "model.safetensors");
  const weights = seededWeights(tinyDenseav);
  const hints = { imageSize: 64, frameCount: 5 } as const;
  const { denseav } = tinyDenseav;
  // Heads of attentions leave no trace in a file.
  const heads = {
    alignerHeads: 6,
    frames: { ...denseav.frames, heads: 6 },
    sound: { ...denseav.sound, heads: 16 },
  };
  const published: AvsModelConfig = { ...tinyDenseav, denseav: { ...denseav, ...heads } };
  const open = async () => {
    const predictor = await openPredictor({ checkpoint, hints, runtime });
    try {
      assert.deepEqual(predictor.config, published);
      return (await predictor.predict(clipOf(predictor.config))).data;
    } finally {
      await predictor.close();
    }
  };
  const settings = (value: object) => writeFile(path.join(folder, "config.json"), JSON.stringify(value));
  await writeSafetensors(checkpoint, weights);
  await settings({ sim_agg_heads: 2, image_model_type: "dino8", sim_use_cls: false, lr: 1e-5 });
  const expected = await open();
  assert.equal(new Set(expected.map(Math.sign)).size, 2, "some pixels are marked, and some are not");
  // As older and newer libraries, and wrappers, write the same weights.
  const renamed = (rename: (key: string) => string) =>
    writeSafetensors(checkpoint, new Map([...weights].map(([key, tensor]) => [rename(key), tensor])));
  await renamed((key) =>
    key
      .replace("parametrizations.weight.original0", "weight_g")
      .replace("parametrizations.weight.original1", "weight_v"),
  );
  assert.deepEqual(await open(), expected);
  await renamed((key) => `model.${key.replace(/\.qkv\.(weight|bias)$/, ".qkv.base_layer.$1")}`);
  assert.deepEqual(await open(), expected);

  await settings({ sim_agg_heads: 2, sim_use_cls: true });
  await assert.rejects(open(), { name: "CheckpointError", message: /sim_use_cls is true, expected false/ });
  await settings({ sim_agg_heads: "two" });
  await assert.rejects(open(), {
    name: "CheckpointError",
    message: /sim_agg_heads is "two", expected a count/,
  });
  await writeFile(path.join(folder, "config.json"), "{");
  await assert.rejects(open(), {
    name: "CheckpointError",
    message: /config\.json beside it is not a JSON object/,
  });
});

test("denseav: it is evaluated with waves, with any sound; training and other forms of sound are refused", async (t) => {
  const folder = await tempDir(t);
  const checkpoint = path.join(folder, "model.safetensors");
  await writeSafetensors(checkpoint, seededWeights(tinyDenseav), {
    metadata: { format: "avseg-checkpoint-1", model: JSON.stringify(tinyDenseav) },
  });
  const { task, imageSize } = tinyDenseav;
  const root = path.join(folder, "data");
  await writeSoundShapes({ task, root, counts: { train: 0, val: 0, test: 4 }, imageSize });
  const options = { task, root, split: "test", imageSize } as const;
  const predictor = await openPredictor({ checkpoint, runtime });
  try {
    assert.equal(predictor.soundForm, "wave");
    const dataset = await openDataset({ ...options, waves: true });
    const [own, silent] = await Promise.all(
      (["own", "silence"] as const).map((sound) => withSound(dataset, { sound }).load(0)),
    );
    assert.deepEqual(own?.sound?.shape, [80_000]);
    assert.ok(own?.sound?.data.some((value) => value !== 0));
    assert.ok(silent?.sound?.data.every((value) => value === 0));
    for (const workers of [0, 1]) {
      const { clips, summary } = await evaluateDataset(predictor, dataset, { workers, batchSize: 3 });
      assert.equal(clips.length, 4);
      assert.ok(summary.miou > 0 && summary.miou < 1);
    }
    const swapped = await evaluateDataset(predictor, withSound(dataset, { sound: "swapped" }), {
      workers: 0,
    });
    const same = await evaluateDataset(predictor, dataset, { workers: 0 });
    assert.notEqual(swapped.summary.miou, same.summary.miou);
    await assert.rejects(evaluateDataset(predictor, await openDataset(options), { workers: 0 }), {
      name: "DatasetError",
      message: /expected samples for this model/,
    });
  } finally {
    await predictor.close();
  }
  const config = configFromObject({ task, model: { kind: "denseav" }, data: { root } });
  await assert.rejects(openTraining({ config, workDir: path.join(folder, "run") }), { name: "ConfigError" });
  const out = path.join(folder, "x.onnx");
  await assert.rejects(exportModel({ checkpoint, out, form: { audio: "log-mel" } }), {
    name: "ConfigError",
    message: "models of kind denseav do not take sound as log-mel",
  });
  assert.throws(() => configFromObject({ task: "avss", model: { kind: "denseav" } }), /its masks are binary/);
  assert.throws(
    () => configFromObject({ task, model: { kind: "denseav", visual: { kind: "resnet50" } } }),
    /models of kind denseav have encoders of their own/,
  );
});

test("a published file of TPAVI goes with a file of VGGish, and says so where it is missing", async () => {
  // The published file holds neither the audio encoder nor a description.
  const all = seededWeights(tinyTpavi);
  const isAudio = (key: string) => key.startsWith("vggish.");
  const checkpoint = path.join(dir, "tpavi.safetensors");
  await writeSafetensors(checkpoint, new Map([...all].filter(([key]) => !isAudio(key))));
  const audio = path.join(dir, "vggish.safetensors");
  const own = [...all].flatMap(([key, t]) =>
    isAudio(key) ? [[key.slice("vggish.".length), t] as const] : [],
  );
  await writeSafetensors(audio, new Map(own));

  const whole = path.join(dir, "tpavi-whole.safetensors");
  await writeSafetensors(whole, all);
  const hints = { task: "ms3", imageSize: 64 } as const;
  const expected = await logitsOf({ checkpoint: whole, hints }, tinyTpavi);
  const options = { checkpoint, encoders: { audio }, config: tinyTpavi };
  assertClose(await logitsOf(options, tinyTpavi), expected, 1e-6, "logits");
  await assert.rejects(openPredictor({ checkpoint, config: tinyTpavi, runtime }), {
    name: "CheckpointError",
    message: `${checkpoint}: it has no audio encoder`,
  });
});
