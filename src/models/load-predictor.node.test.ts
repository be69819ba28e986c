import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { assertClose, seededInput, seededParameter, seededUniform } from "../../test/support.js";
import { CheckpointError } from "../errors.js";
import { Pass } from "../nn/index.js";
import type { Tensor } from "../tensor.js";
import { writeSafetensors } from "../weights/safetensors-file.node.js";
import { buildAvsModel } from "./avs-model.js";
import { EmbeddingCache } from "./embedding-cache.node.js";
import { loadPredictor } from "./load-predictor.node.js";
import { type AvsModelConfig, modelConfigFromJson, modelConfigToJson } from "./model-config.js";
import { normaliseFrames } from "./normalise.js";
import type { ClipBatch } from "./predictor.js";
import { publishedModel, pvtPreset } from "./presets.js";

const base = publishedModel("s4", pvtPreset("pvt-v2-b0"));
const micro: AvsModelConfig = {
  ...base,
  imageSize: 64,
  visual: pvtPreset("pvt-v2-b0", { dims: [16, 32, 40, 64], depths: [1, 1, 2, 1], loraRank: 4 }),
  audio: { widths: [4, 4, 8, 8, 8, 8], hidden: 16, pca: false },
  decoder: { ...base.decoder, convDim: 32 },
};

function microWeights(): Map<string, Tensor> {
  return new Map(buildAvsModel(micro).specs.map(({ key, shape }) => [key, seededParameter(key, shape)]));
}

async function tempDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), "avseg-predictor-"));
  t.after(() => rm(dir, { recursive: true }));
  return dir;
}

function clips(count: number): ClipBatch {
  const n = count * micro.frameCount;
  const u = seededUniform("frames", n * 64 * 64 * 3);
  return {
    frames: { dtype: "u8", shape: [n, 64, 64, 3], data: Uint8Array.from(u, (v) => (v + 1) * 127.5) },
    logMel: seededInput("mel", [n, 1, 96, 64]),
    keep: { dtype: "f32", shape: [n], data: new Float32Array(n).fill(1) },
  };
}

/** What the predictor should give: the plain form of the model. */
async function expected(batch: ClipBatch): Promise<Float32Array> {
  const model = buildAvsModel(micro);
  const logits = model.forward(
    {
      frames: normaliseFrames(inputLike("frames", batch.frames)),
      embedding: model.embedAudio(inputLike("logMel", batch.logMel)),
    },
    new Pass({ rewrites: false }),
  );
  const out = await evaluate({ logits }, { frames: batch.frames, logMel: batch.logMel });
  return out.logits?.data as Float32Array;
}

test("a state dict with published keys tells its model; batches of any size are whole clips", async (t) => {
  const file = path.join(await tempDir(t), "whole.safetensors");
  await writeSafetensors(file, microWeights());
  const predictor = await loadPredictor({ checkpoint: file, hints: { imageSize: 64 } });
  t.after(() => predictor.close());
  assert.deepEqual(predictor.description, micro);
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

test("embeddings of earlier runs change no bit", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "whole.safetensors");
  await writeSafetensors(file, microWeights());
  const logitsWith = async (embeddings?: EmbeddingCache) => {
    const options = { checkpoint: file, hints: { imageSize: 64 }, runtime: { threads: 1 } };
    const predictor = await loadPredictor({ ...options, ...(embeddings && { embeddings }) });
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
  const metadata = { format: "avseg-checkpoint-1", model: modelConfigToJson({ ...micro, task: "ms3" }) };
  await writeSafetensors(file, microWeights(), metadata);
  const predictor = await loadPredictor({ checkpoint: file });
  assert.equal(predictor.description.task, "ms3");
  await predictor.close();

  assert.deepEqual(modelConfigFromJson(modelConfigToJson(micro), "here"), micro);
  const broken = JSON.stringify({ ...micro, decoder: { ...micro.decoder, convDim: -1 } });
  assert.throws(() => modelConfigFromJson(broken, "x.safetensors"), {
    message: 'x.safetensors: "model.decoder.convDim" is -1, expected a whole number from 1 to 4096',
  });
});

test("missing parameters are named, not made up", async (t) => {
  const file = path.join(await tempDir(t), "part.safetensors");
  const weights = microWeights();
  weights.delete("bridger.Fusers.2.vis_out.bias");
  await writeSafetensors(file, weights);
  await assert.rejects(loadPredictor({ checkpoint: file, hints: { imageSize: 64 } }), (error) => {
    assert.ok(error instanceof CheckpointError);
    assert.match(error.message, /1 parameters of the model are missing: bridger\.Fusers\.2\.vis_out\.bias/);
    return true;
  });
  await assert.rejects(
    loadPredictor({ checkpoint: path.join(path.dirname(file), "none.pth") }),
    CheckpointError,
  );
});
