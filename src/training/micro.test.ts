/** Thirty AdamW steps of a small whole model against the reference. */

import assert from "node:assert/strict";
import test, { after } from "node:test";
import { reference } from "../../test/reference.js";
import { assertClose, seededInput, seededMask, seededParameter } from "../../test/support.js";
import { emitOnnx, gradients, input } from "../graph/index.js";
import { buildAvsModel } from "../models/avs-model.js";
import { conceptsSchema } from "../models/concepts.js";
import { decoderSchema } from "../models/decoder.js";
import { Pass } from "../nn/index.js";
import { createOptimizer } from "../optim/optimizers.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { f32, type Tensor } from "../tensor.js";
import { WeightStore } from "../weights/weight-store.js";
import { applyGradients } from "./batch-step.js";
import { lossOf } from "./losses.js";
import { compileStep } from "./step.js";

const runtime = nodeRuntime();
after(() => runtime.close());

const model = buildAvsModel({
  kind: "seavs",
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
  audio: { kind: "vggish", widths: [8, 8, 8, 8, 8, 8], hidden: 8, pca: false },
  messenger: { queries: 5, width: 128, heads: 8, frames: 5, dropout: 0, between: true },
  decoder: decoderSchema.parse({ convDim: 32, dropout: 0 }),
  concepts: conceptsSchema.parse({}),
});

test("the loss curve, gradients and final weights of training_micro", async () => {
  const ref = await reference("training_micro");
  const weights = new Map<string, Tensor>(
    model.specs.map(({ key, shape }): [string, Tensor] => [key, seededParameter(key, shape)]),
  );
  const pass = new Pass({ training: true });
  const inputs = { frames: input("frames", [5, 3, 64, 64]), embedding: input("embedding", [5, 128]) };
  const { logits } = model.forward(inputs, pass);
  assert.equal(pass.sites.length, 0);
  const target = input("target", [5, 64, 64], "u8");
  const loss = lossOf({ logits }, { target, counts: input("counts", [5]) }, { dice: 1, bce: 1 });
  const feeds = {
    frames: seededInput("train_frames", [5, 3, 64, 64], 2),
    embedding: seededInput("train_audio", [5, 128]),
    target: seededMask("train_masks", [5, 64, 64]),
    counts: f32([1, 1, 1, 1, 1], [5]),
  };
  const keys = ref.keys.filter((key) => key.startsWith("grad:")).map((key) => key.slice(5));
  const trainable = keys.flatMap((key) => model.values.get(key) ?? []);
  assert.equal(trainable.length, keys.length);

  const derivatives = gradients([{ y: loss.total }], trainable);
  const outputs = Object.fromEntries(derivatives.map((value, i) => [`gradient:${keys[i]}`, value]));
  const graph = emitOnnx({ logits, ...outputs }, { asInputs: new Set(keys), target: runtime.supports });
  const session = await runtime.createSession({ graph, weights });
  const differentiate = () =>
    session.run({ ...feeds, ...Object.fromEntries(keys.map((key) => [key, weights.get(key) as Tensor])) });
  const first = await differentiate();
  ref.assertClose(first.logits, "logits", 1e-4);
  for (const key of keys) {
    // Queries and keys over a single key have a gradient of zero, but for rounding.
    const largest = ref.floats(`grad:${key}`).reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    if (largest > 1e-7) ref.assertClose(first[`gradient:${key}`], `grad:${key}`, 1e-4);
  }

  const definition = { loss: loss.total, reports: new Map(), trainable, updates: new Map() };
  const step = await compileStep(runtime, WeightStore.of(weights), definition);
  const optimizer = createOptimizer({ kind: "adamw", weightDecay: 0.01 });
  const curve: number[] = [];
  for (let i = 0; i < 30; i++) {
    const { loss: total, gradients: found } = await step.run(feeds);
    curve.push(total);
    applyGradients({ weights, trained: keys, gradients: found, optimizer, learningRate: 1e-3 });
  }
  assertClose(curve, ref.floats("loss_curve"), 1e-4, "loss curve");
  for (const key of keys) ref.assertClose(weights.get(key), `after:${key}`, 1e-2);
  ref.assertClose((await differentiate()).logits, "logits_after", 1e-2);
  await Promise.all([session.close(), step.close()]);
});
