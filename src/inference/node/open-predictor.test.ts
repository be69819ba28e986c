import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { evaluate, inputLike } from "../../../test/graphs.js";
import { assertClose, logMelOf } from "../../../test/support.js";
import { tempDir } from "../../../test/temp-dir.js";
import { tinyS4 as micro, seededBatch, seededWeights } from "../../../test/tiny-models.js";
import { CheckpointError } from "../../errors.js";
import { buildAvsModel } from "../../models/avs-model.js";
import { modelConfigFromJson, modelConfigToJson, type SeavsConfig } from "../../models/model-config.js";
import { imagenetNormalization, normalizeFrames } from "../../models/normalize-frames.js";
import { Pass } from "../../nn/index.js";
import { writeSafetensors } from "../../weights/node/safetensors-file.js";
import type { ClipBatch } from "../predictor.js";
import { EmbeddingCache } from "./embedding-cache.js";
import { ModelCache } from "./model-cache.js";
import { beginOpening, openPredictor } from "./open-predictor.js";

/** Metadata of a checkpoint of `avseg train`. */
const described = (model: SeavsConfig) => ({
  format: "avseg-checkpoint-1",
  model: modelConfigToJson(model),
});

const clips = (count: number): ClipBatch => seededBatch(micro, { clips: count });

/** What the predictor should give: the plain form of the model. */
async function expected(batch: ClipBatch): Promise<Float32Array> {
  const model = buildAvsModel(micro);
  const { logits } = model.forward(
    {
      frames: normalizeFrames(inputLike("frames", batch.frames), imagenetNormalization),
      embedding: model.embedAudio(inputLike("logMel", logMelOf(batch))),
    },
    new Pass({ fused: false }),
  );
  const out = await evaluate({ logits }, { frames: batch.frames, logMel: logMelOf(batch) });
  return out.logits?.data as Float32Array;
}

test("a state dict with published keys reveals its model; batches of any size are whole clips", async (t) => {
  const file = path.join(await tempDir(t), "whole.safetensors");
  await writeSafetensors(file, seededWeights(micro));
  const predictor = await openPredictor({ checkpoint: file, hints: { imageSize: 64 } });
  t.after(() => predictor.close());
  assert.deepEqual(predictor.config, micro);
  for (const count of [1, 2, 1, 3]) {
    const batch = clips(count);
    const logits = await predictor.predict(batch);
    assert.deepEqual(logits.shape, [count * 5, 1, 64, 64]);
    assertClose(logits.data, await expected(batch), 1e-5, `${count} clips`);
  }
  await assert.rejects(
    predictor.predict({ ...clips(1), frames: { ...clips(1).frames, shape: [4, 64, 64, 3] } }),
  );
});

test("a model that is being opened says what it is, then predicts the same; where it cannot be opened, why", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "whole.safetensors");
  await writeSafetensors(file, seededWeights(micro));
  const cache = new ModelCache({ dir: path.join(dir, "models"), minBytes: 0 });
  const options = { checkpoint: file, hints: { imageSize: 64 }, runtime: { threads: 1 } };
  const { predict, close, ...facts } = await openPredictor({ ...options, cache: false });
  t.after(close);
  const { data } = await predict(clips(1));
  for (const form of ["checkpoint", "cached"]) {
    const { predictor, opened } = await beginOpening({ ...options, cache });
    const { predict: early, close: end, ...known } = predictor;
    assert.deepEqual(known, facts, form);
    assert.deepEqual((await early(clips(1))).data, data, form);
    await opened;
    await end();
  }
  assert.equal((await cache.list()).length, 1);

  const provider = process.platform === "win32" ? "coreml" : "dml";
  const { predictor, opened } = await beginOpening({ ...options, runtime: { provider } });
  assert.deepEqual(predictor.config, micro);
  await assert.rejects(predictor.predict(clips(1)), /not part of ONNX Runtime/);
  await assert.rejects(opened, /not part of ONNX Runtime/);
  await predictor.close();
  const missing = beginOpening({ ...options, checkpoint: path.join(dir, "missing.pth") });
  await assert.rejects(missing, CheckpointError);
});

test("embeddings of earlier runs change no bit", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "whole.safetensors");
  await writeSafetensors(file, seededWeights(micro));
  const logitsWith = async (embeddings?: EmbeddingCache) => {
    const options = { checkpoint: file, hints: { imageSize: 64 }, runtime: { threads: 1 } };
    const predictor = await openPredictor({ ...options, embeddings });
    t.after(() => predictor.close());
    return [await predictor.predict(clips(2)), await predictor.predict(clips(3))];
  };
  const cache = () => new EmbeddingCache({ dir: path.join(dir, "cache") });
  const plain = await logitsWith();
  assert.deepEqual(await logitsWith(cache()), plain, "cold");
  assert.deepEqual(await logitsWith(cache()), plain, "warm");
});

test("a checkpoint's own description is used, and its malformed one refused", async (t) => {
  const file = path.join(await tempDir(t), "trained.safetensors");
  await writeSafetensors(file, seededWeights(micro), { metadata: described({ ...micro, task: "ms3" }) });
  const predictor = await openPredictor({ checkpoint: file });
  assert.equal(predictor.config.task, "ms3");
  await predictor.close();

  assert.deepEqual(modelConfigFromJson(modelConfigToJson(micro), "here"), micro);
  const broken = JSON.stringify({ ...micro, decoder: { ...micro.decoder, convDim: -1 } });
  assert.throws(() => modelConfigFromJson(broken, "x.safetensors"), {
    message: 'x.safetensors: "model.decoder.convDim" is -1, expected an integer from 1 to 4096',
  });
});

test("missing parameters are named, not made up, in checkpoints of every kind", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "part.safetensors");
  const rejects = async (pattern: RegExp): Promise<void> => {
    await assert.rejects(openPredictor({ checkpoint: file, hints: { imageSize: 64 } }), (error) => {
      assert.ok(error instanceof CheckpointError && error.hint);
      assert.match(error.message, pattern);
      return true;
    });
  };
  const weights = seededWeights(micro);
  weights.delete("bridger.Fusers.2.vis_out.bias");
  await writeSafetensors(file, weights);
  await rejects(/1 parameters of the model are missing: bridger\.Fusers\.2\.vis_out\.bias/);
  await writeSafetensors(file, weights, { metadata: described(micro) });
  await rejects(/1 parameters of the model are missing: bridger\.Fusers\.2\.vis_out\.bias/);

  // Encoders that nobody trained may come from the seed, of a size that a real one could have.
  const trained = [...seededWeights(micro)].filter(([key]) => /^(bridger|decoder)\.|\.lora_/.test(key));
  await writeSafetensors(file, new Map(trained), { metadata: described(micro) });
  await (await openPredictor({ checkpoint: file })).close();
  const vast = { ...micro, audio: { ...micro.audio, widths: [8, 8, 8, 8, 8, 4096], hidden: 16384 } } as const;
  await writeSafetensors(file, new Map(trained), { metadata: described(vast) });
  await rejects(/describes encoders of \d{9,} random values/);

  await assert.rejects(openPredictor({ checkpoint: path.join(dir, "none.pth") }), CheckpointError);
});

test("a configuration cannot make another model of a checkpoint's weights", async (t) => {
  const file = path.join(await tempDir(t), "trained.safetensors");
  await writeSafetensors(file, seededWeights(micro), { metadata: described(micro) });
  const { decoder, messenger } = micro;
  const differing: [RegExp, SeavsConfig][] = [
    [/model\.decoder\.heads is 8, the configuration says 4/, { ...micro, decoder: { ...decoder, heads: 4 } }],
    [/model\.messenger\.heads is 8/, { ...micro, messenger: { ...messenger, heads: 16 } }],
    [/model\.decoder\.positionEncoding/, { ...micro, decoder: { ...decoder, positionEncoding: true } }],
  ];
  for (const [pattern, config] of differing) {
    await assert.rejects(openPredictor({ checkpoint: file, config }), (error) => {
      assert.ok(error instanceof CheckpointError && error.hint);
      assert.match(error.message, pattern);
      return true;
    });
  }
  const harmless: SeavsConfig = {
    ...micro,
    task: "ms3",
    imageSize: 96,
    decoder: { ...decoder, dropout: 0 },
  };
  await (await openPredictor({ checkpoint: file, config: harmless })).close();
});
