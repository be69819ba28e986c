/** Thirty AdamW steps of a small whole model against the reference. */

import assert from "node:assert/strict";
import test, { after } from "node:test";
import { assertClose, goldenPath, relativeError, seededParameter } from "../../test/support.js";
import { emitOnnx, gradients, input } from "../graph/index.js";
import { buildAvsModel } from "../models/avs-model.js";
import { Pass } from "../nn/index.js";
import { createOptimizer } from "../optim/optimizers.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { asF32, f32, type Tensor } from "../tensor.js";
import { loadSafetensors } from "../weights/node/safetensors-file.js";
import { WeightStore } from "../weights/weight-store.js";
import { lossOf } from "./losses.js";
import { compileStep } from "./step.js";

const runtime = nodeRuntime();
after(() => runtime.close());

const model = buildAvsModel({
  task: "ms3",
  classes: ["sounding object"],
  frameCount: 5,
  imageSize: 64,
  visual: {
    kind: "pvt-v2",
    dims: [16, 32, 40, 64],
    depths: [1, 1, 2, 1],
    heads: [1, 2, 5, 8],
    mlpRatios: [4, 4, 4, 4],
    reductions: [8, 4, 2, 1],
    dropPath: 0,
    loraRank: 0,
  },
  audio: { widths: [8, 8, 8, 8, 8, 8], hidden: 8, pca: false },
  messenger: { queries: 5, width: 128, heads: 8, frames: 5, dropout: 0 },
  decoder: {
    project: false,
    channel: false,
    convDim: 32,
    heads: 8,
    reductions: [8, 4, 2, 1],
    dropout: 0,
    positionEncoding: false,
  },
});

test("the loss curve, gradients and final weights of training_micro", async (t) => {
  const file = goldenPath("training_micro.safetensors");
  if (!file) return t.skip("reference files absent");
  const { tensors } = await loadSafetensors(file);
  const get = (name: string) => {
    const tensor = tensors.get(name);
    assert.ok(tensor, name);
    return asF32(tensor, name);
  };
  const weights = new Map<string, Tensor>(
    model.specs.map(({ key, shape }): [string, Tensor] => [key, seededParameter(key, shape)]),
  );
  const pass = new Pass({ training: true });
  const inputs = { frames: input("frames", [5, 3, 64, 64]), embedding: input("embedding", [5, 128]) };
  const logits = model.forward(inputs, pass);
  assert.equal(pass.sites.length, 0);
  const target = input("target", [5, 64, 64], "u8");
  const loss = lossOf(logits, target, input("counts", [5]), { dice: 1, bce: 1 });
  const masks: Tensor = { dtype: "u8", shape: [5, 64, 64], data: Uint8Array.from(get("masks").data) };
  const feeds = {
    frames: get("frames"),
    embedding: get("audio"),
    target: masks,
    counts: f32([1, 1, 1, 1, 1], [5]),
  };
  const keys = [...tensors.keys()].filter((key) => key.startsWith("grad:")).map((key) => key.slice(5));
  const trainable = keys.flatMap((key) => model.values.get(key) ?? []);
  assert.equal(trainable.length, keys.length);

  const derivatives = gradients([{ y: loss.total }], trainable);
  const outputs = Object.fromEntries(derivatives.map((value, i) => [`gradient:${keys[i]}`, value]));
  const graph = emitOnnx({ logits, ...outputs }, { asInputs: new Set(keys), target: runtime.supports });
  const session = await runtime.createSession({ graph, weights });
  const differentiate = () =>
    session.run({ ...feeds, ...Object.fromEntries(keys.map((key) => [key, weights.get(key) as Tensor])) });
  assertClose(
    asF32((await differentiate()).logits as Tensor, "").data,
    get("logits").data,
    1e-4,
    "first logits",
  );

  const definition = { loss: loss.total, reports: new Map(), trainable, updates: new Map() };
  const step = await compileStep(runtime, WeightStore.of(weights), definition);
  const optimizer = createOptimizer({ kind: "adamw", weightDecay: 0.01 });
  const curve: number[] = [];
  const train = async (steps: number) => {
    for (let i = 0; i < steps; i++) curve.push((await step.run(feeds, optimizer, 1e-3)).loss);
  };
  await train(29);
  // The reference's gradients are those of the last step, after 29 updates have amplified what float32 rounds.
  const found = await differentiate();
  const errors = keys.map((key) =>
    relativeError(asF32(found[`gradient:${key}`] as Tensor, key).data, get(`grad:${key}`).data),
  );
  const sized = errors.filter((_, i) => {
    const largest = get(`grad:${keys[i]}`).data.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    return largest > 1e-7; // below are those that are zero but for rounding: queries and keys over one key
  });
  t.diagnostic(`gradients at step 30: largest difference ${Math.max(...sized)} of ${sized.length}`);
  assert.ok(sized.length > 100 && Math.max(...sized) <= 1e-3, `${Math.max(...sized)}`);

  await train(1);
  assertClose(curve, get("loss_curve").data, 1e-4, "loss curve");
  const worst = keys.map((key) => {
    const value = asF32(weights.get(key) as Tensor, key).data;
    return { key, error: relativeError(value, get(`after:${key}`).data) };
  });
  worst.sort((a, b) => b.error - a.error);
  t.diagnostic(`final weights: largest difference ${worst[0]?.error} (${worst[0]?.key})`);
  assert.ok((worst[0]?.error ?? 1) <= 1e-2, JSON.stringify(worst.slice(0, 5)));
  const last = asF32((await differentiate()).logits as Tensor, "").data;
  assertClose(last, get("logits_after").data, 1e-2, "final logits");
  await Promise.all([session.close(), step.close()]);
});
