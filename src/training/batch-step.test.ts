/** Batches in parts, one after another or on several ranks, against batches at once. */
import assert from "node:assert/strict";
import test, { after } from "node:test";
import { localRanks } from "../../test/local-ranks.js";
import { relativeError, seededInput, seededUniform } from "../../test/support.js";
import { tinyAvsegformer, tinyAvss, tinyS4 } from "../../test/tiny-models.js";
import { checkConfig } from "../config/validate.js";
import type { Clip } from "../datasets/clip.js";
import { type Ranks, rangeOf, singleRank } from "../distributed/ranks.js";
import { type AvsModelConfig, publishedFrameCount } from "../models/model-config.js";
import { clipGradients } from "../optim/clip-gradients.js";
import { MovingAverage } from "../optim/moving-average.js";
import { createOptimizer, type OptimizerConfig } from "../optim/optimizers.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { asF32, copyOf, f32, type StateDict, sizeOf, type TensorOf } from "../tensor.js";
import { openTrainingModel } from "./avs-training.js";
import { BatchStep } from "./batch-step.js";
import { countedFrames } from "./counted-frames.js";
import { StepCache } from "./step-cache.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());

const side = 64;

/** A clip of noise; in AVSS some frames are padded, and some clips have more ground truth than others. */
function clip(index: number, { task, classes }: AvsModelConfig): Clip {
  const frameCount = publishedFrameCount[task];
  const bytes = (name: string, shape: readonly number[], value: (u: number) => number): TensorOf<"u8"> => ({
    dtype: "u8",
    shape,
    data: Uint8Array.from(seededUniform(`${name} ${index}`, sizeOf(shape)), value),
  });
  const all = Array.from({ length: frameCount }, (_, t) => t);
  const labeled = task === "s4" ? [0] : task === "ms3" ? all : all.slice(0, 1 + ((index * 3) % frameCount));
  const labels = Math.max(2, classes.length);
  return {
    id: `clip${index}`,
    category: "",
    frames: bytes("frames", [frameCount, side, side, 3], (u) => 127.5 * (1 + u)),
    logMel: seededInput(`log-mel ${index}`, [frameCount, 1, 96, 64], 3),
    masks: bytes("masks", [labeled.length, side, side], (u) => Math.floor(((u + 1) / 2) * labels)),
    labeled,
    frameMask: f32(
      all.map((t) => (task === "avss" && t >= 7 ? 0 : 1)),
      [frameCount],
    ),
  };
}

interface Way {
  readonly ranks?: Ranks | undefined;
  /** Clips at once. */
  readonly atOnce: number;
  readonly recompute?: boolean | undefined;
  /** Default: AdamW. */
  readonly optimizer?: OptimizerConfig | undefined;
  readonly learningRate?: number | undefined;
}

const batchSize = 4;

/** Trains some steps; returns the weights and the losses. */
async function train(modelConfig: AvsModelConfig, way: Way, steps = 3) {
  const { ranks = singleRank, atOnce, recompute = false, learningRate = 1e-4 } = way;
  const config = checkConfig({
    value: {
      task: modelConfig.task,
      model: { kind: modelConfig.kind === "avsegformer" ? "avsegformer" : "seavs" },
      training: { recompute },
    },
    where: () => "test",
  });
  const model = await openTrainingModel({ config, modelConfig, runtime });
  const cache = new StepCache(model);
  const trained = await cache.enter(0);
  const batchStep = new BatchStep({
    ranks,
    ahead: 2,
    weights: model.weights,
    optimizer: createOptimizer(way.optimizer ?? { kind: "adamw", weightDecay: 0.01 }),
    compiled: (clips) => cache.get(clips),
    countedFrames: (c) => countedFrames(c, modelConfig),
  });
  const before = new Map([...model.weights].map(([key, tensor]) => [key, copyOf(tensor)]));
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const total = step === 1 ? batchSize - 3 : batchSize; // fewer clips than ranks
    const { start, end } = rangeOf(ranks, total);
    const clips = Array.from({ length: end - start }, (_, i) =>
      clip(step * batchSize + start + i, modelConfig),
    );
    const result = await batchStep.run({ clips, total, atOnce, trained, step, learningRate });
    losses.push(result.loss);
  }
  await cache.close();
  return { before, weights: model.weights, losses };
}

/** Fails unless one step of plain SGD has moved every tensor by the same, but for rounding. */
async function assertSameGradients(modelConfig: AvsModelConfig, one: Way, other: Way): Promise<void> {
  const way = { optimizer: { kind: "sgd" }, learningRate: 100 } as const;
  const [a, b] = [
    await train(modelConfig, { ...way, ...one }, 1),
    await train(modelConfig, { ...way, ...other }, 1),
  ];
  const data = (weights: StateDict, key: string) => asF32(weights.get(key) ?? assert.fail(key), key).data;
  let compared = 0;
  for (const [key, { data: first }] of b.before) {
    const [from, to] = [data(a.weights, key), data(b.weights, key)].map((w) =>
      w.map((x, i) => x - Number(first[i])),
    );
    const largest = to?.reduce((max, x) => Math.max(max, Math.abs(x)), 0) ?? 0;
    if (largest < 1e-3) continue; // a gradient of zero, but for rounding
    compared++;
    const error = relativeError(from ?? [], to ?? []);
    assert.ok(error < 1e-3, `${key}: gradients differ by ${error}`);
  }
  assert.ok(compared > b.before.size / 2, `only ${compared} of ${b.before.size} gradients are above zero`);
  assert.ok(relativeError(a.losses, b.losses) < 1e-6);
}

const cases: readonly { name: string; modelConfig: AvsModelConfig; sizes: readonly number[] }[] = [
  { name: "S4 with adapters", modelConfig: tinyS4, sizes: [2] },
  { name: "AVSS", modelConfig: tinyAvss, sizes: [3] },
  { name: "AVSegFormer, unfrozen", modelConfig: tinyAvsegformer, sizes: [2] },
];
for (const { name, modelConfig, sizes } of cases) {
  test(`${name}: ranks with a part of the batch each give the bits of one process`, async () => {
    const expected = await train(modelConfig, { atOnce: 1 });
    for (const size of sizes) {
      const all = await Promise.all(
        localRanks(size).map((ranks) => train(modelConfig, { ranks, atOnce: 1 })),
      );
      for (const { weights, losses } of all) {
        assert.deepEqual(losses, expected.losses);
        assert.deepEqual(weights, expected.weights);
      }
    }
  });

  test(`${name}: clip by clip, the gradients are those of the batch at once, recomputed or not`, async () => {
    await assertSameGradients(modelConfig, { atOnce: 1 }, { atOnce: batchSize, recompute: true });
  });
}

test("gradients are scaled to the largest norm, all by the same factor", () => {
  const [a, b] = [Float32Array.of(3, 0), Float32Array.of(-4)];
  assert.equal(clipGradients([a, b], 10), 5);
  assert.deepEqual([...a, ...b], [3, 0, -4]);
  assert.equal(clipGradients([a, b], 1), 5);
  assert.ok(relativeError([...a, ...b], [0.6, 0, -0.8]) < 1e-6);
});

test("moving averages follow the weights, start with the first one, and change places with them", () => {
  const w = f32([1], [1]);
  const weights = new Map([["w", w]]);
  const average = new MovingAverage(0.5);
  const at = (): number => asF32(average.values.get("w") ?? assert.fail("w"), "w").data[0] ?? Number.NaN;
  average.update(weights, ["w"], 0);
  assert.equal(at(), 1);
  w.data[0] = 2;
  average.update(weights, ["w"], 1); // d = 2/11
  assert.ok(Math.abs(at() - (2 / 11 + (2 * 9) / 11)) < 1e-6);
  w.data[0] = 4;
  average.update(weights, ["w"], 1000); // d = 0.5
  const expected = (2 / 11 + (2 * 9) / 11 + 4) / 2;
  assert.ok(Math.abs(at() - expected) < 1e-6);
  average.exchange(weights);
  assert.ok(Math.abs((w.data[0] ?? 0) - expected) < 1e-6);
  assert.equal(at(), 4);
  average.exchange(weights);
  assert.equal(w.data[0], 4);
});
