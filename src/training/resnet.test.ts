/** A model with ResNet-50 in training: batch statistics, running ones in checkpoints, gradients through both. */

import assert from "node:assert/strict";
import path from "node:path";
import test, { after } from "node:test";
import { evaluate } from "../../test/graphs.js";
import { assertClose, seededInput, seededUniform } from "../../test/support.js";
import { tempDir } from "../../test/temp-dir.js";
import { modelFromConfig } from "../config/model-from-config.js";
import type { Config } from "../config/schema.js";
import { checkConfig } from "../config/validate.js";
import type { Clip } from "../datasets/clip.js";
import { conv2d, gradients, input, parameter } from "../graph/index.js";
import { openPredictor } from "../inference/node/open-predictor.js";
import { buildAvsModel } from "../models/avs-model.js";
import { embeddingInput, forwardOf } from "../models/forward.js";
import { imagenetNormalization, normalizeFrames } from "../models/normalize-frames.js";
import { initialState, Pass } from "../nn/index.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import type { Tensors } from "../runtime/runtime.js";
import { asF32, f32, full, type StateDict, sizeOf, type Tensor, type TensorOf } from "../tensor.js";
import { openTrainingModel } from "./avs-training.js";
import { loadCheckpoint } from "./checkpoint.js";
import { runFiles } from "./run-files.js";
import { startingWeights } from "./starting-weights.js";
import { Trainer } from "./trainer.js";

const runtime = nodeRuntime();
after(() => runtime.close());
const dir = await tempDir({ after });

const config = (visual: object): Config =>
  checkConfig({
    value: {
      task: "ms3",
      model: {
        visual: { kind: "resnet50", ...visual },
        audio: { widths: [4, 4, 4, 4, 4, 4], hidden: 8 },
        messenger: { dropout: 0 },
        decoder: { project: true, convDim: 16, dropout: 0 },
      },
      data: { imageSize: 64, batchSize: 2 },
      training: { epochs: 2, evaluateFrom: 2 },
    },
    where: () => "test",
  });

const side = 64;

/** A clip of noise. */
function clip(index: number): Clip {
  const noise = (name: string, shape: readonly number[], value: (u: number) => number): TensorOf<"u8"> => ({
    dtype: "u8",
    shape,
    data: Uint8Array.from(seededUniform(`${name} ${index}`, sizeOf(shape)), value),
  });
  return {
    id: `clip${index}`,
    category: "",
    frames: noise("frames", [5, side, side, 3], (u) => 127.5 * (1 + u)),
    logMel: seededInput(`log-mel ${index}`, [5, 1, 96, 64], 3),
    masks: noise("masks", [5, side, side], (u) => (u > 0.3 ? 1 : 0)),
    labeled: [0, 1, 2, 3, 4],
    frameMask: full([5], 1),
  };
}
const clips = [clip(0), clip(1)] as const;
const feeds: Tensors = {
  frames: clips[0].frames,
  embedding: seededInput("embedding", [5, 128]),
};

interface TrainedModel {
  /** Convolution and statistics of the first layer, and all other statistics, before training. */
  readonly before: StateDict;
  /** What the checkpoint holds. */
  readonly saved: StateDict;
  /** Logits of the first clip: of the model in training, and of the checkpoint. */
  readonly live: Float32Array;
  readonly loaded: Float32Array;
}

/** Trains two steps, each on both clips. */
async function train(name: string, visual: object): Promise<TrainedModel> {
  const own = config(visual);
  const modelConfig = modelFromConfig(own);
  const model = await openTrainingModel({ config: own, modelConfig, runtime });
  const { weights } = await startingWeights(buildAvsModel(modelConfig), own);
  const before = new Map([...weights].filter(([key]) => key.includes("running_") || key === firstConv));
  let live = new Float32Array();
  const workDir = path.join(dir, name);
  const trainer = new Trainer({
    config: own,
    model,
    clips: {
      length: clips.length,
      batchCount: () => 1,
      async *batches() {
        yield clips;
      },
    },
    validate: async (predictor) => {
      live = (await predictor.predict(clips[0])).data.slice();
      return { miou: 0, fscore: 0 };
    },
    workDir,
  });
  await trainer.run();
  const { last } = runFiles(workDir);
  const predictor = await openPredictor({ checkpoint: last });
  const { data: loaded } = await predictor.predict(clips[0]);
  await predictor.close();
  return { before, saved: (await loadCheckpoint(last)).parameters, live, loaded };
}

const numbers = (tensor: Tensor | undefined): Float32Array<ArrayBuffer> =>
  asF32(tensor ?? assert.fail("no such tensor"), "tensor").data;
const firstConv = "visual_encoder.conv1.weight";
const statistics = (weights: StateDict) => [...weights.keys()].filter((key) => key.includes("running_"));

/** Mean and unbiased variance of each channel of the first convolution over all frames of both clips. */
async function firstStatistics(
  weight: Float32Array<ArrayBuffer>,
): Promise<{ mean: number[]; variance: number[] }> {
  const frames = [0, 1].flatMap((i) => [...(clips[i]?.frames.data ?? [])]);
  const shape = [10, side, side, 3];
  const x = normalizeFrames(input("frames", shape, "u8"), imagenetNormalization);
  const y = conv2d(x, parameter("w", [64, 3, 7, 7]), undefined, { stride: 2, padding: 3 });
  const out = await evaluate(
    { y },
    { frames: { dtype: "u8", shape, data: Uint8Array.from(frames) } },
    new Map([["w", f32(weight, [64, 3, 7, 7])]]),
  );
  const data = numbers(out.y);
  const pixels = (side / 2) ** 2;
  const channels = Array.from({ length: 64 }, (_, c) =>
    Array.from({ length: 10 }, (_, n) => [
      ...data.subarray((n * 64 + c) * pixels, (n * 64 + c + 1) * pixels),
    ]).flat(),
  );
  const mean = channels.map((values) => values.reduce((a, b) => a + b, 0) / values.length);
  const variance = channels.map(
    (values, c) => values.reduce((a, b) => a + (b - (mean[c] ?? 0)) ** 2, 0) / (values.length - 1),
  );
  return { mean, variance };
}

test("batch statistics: running ones follow them at every step, are saved, and are what the checkpoint uses", async () => {
  const { before, saved, live, loaded } = await train("batch", {});
  const { mean, variance } = await firstStatistics(numbers(before.get(firstConv)));
  for (const [name, now] of [
    ["running_mean", mean],
    ["running_var", variance],
  ] as const) {
    const key = `visual_encoder.bn1.${name}`;
    // Its input is frozen, so both steps see the same statistics.
    const step = (old: number, c: number) => 0.9 * old + 0.1 * (now[c] ?? Number.NaN);
    const expected = [...numbers(before.get(key))].map(step).map(step);
    assertClose(numbers(saved.get(key)), expected, 1e-5, key);
  }
  const renewed = statistics(saved);
  assert.equal(renewed.length, 2 * 53); // 53 layers; the spare copies of the last two stages see nothing
  assert.ok(!renewed.some((key) => /layer[34]_2/.test(key)));
  for (const key of renewed) assert.notDeepEqual(numbers(saved.get(key)), numbers(before.get(key)), key);
  assertClose(loaded, live, 1e-4, "logits of the checkpoint");
});

test("frozen statistics: training neither uses the batch's nor touches the running ones", async () => {
  const { saved, live, loaded } = await train("frozen", { freezeBatchNorm: true });
  assert.deepEqual(statistics(saved), []);
  assertClose(loaded, live, 1e-4, "logits of the checkpoint");
  const own = config({ freezeBatchNorm: true });
  const model = buildAvsModel(modelFromConfig(own));
  const training = new Pass({ training: true });
  const forward = (pass: Pass) => forwardOf(model, { pass, embedding: embeddingInput(model, 1) }).logits;
  const [trained, still] = [forward(training), forward(new Pass())];
  assert.equal(training.updates.size, 0);
  const out = await evaluate({ trained, still }, feeds, initialState(model.specs, 1));
  assertClose(numbers(out.trained), numbers(out.still), 1e-4, "logits");
});

test("batch statistics: the gradient of a whole model is its slope, part by part", async () => {
  const model = buildAvsModel(modelFromConfig(config({})));
  const { logits } = forwardOf(model, {
    pass: new Pass({ training: true }),
    embedding: embeddingInput(model, 1),
  });
  const seed = seededInput("seed", logits.shape);
  const weights = initialState(model.specs, 1);
  const trained = [...model.values].filter(
    ([key]) => !key.includes("running_") && !/^audio_encoder|layer[34]_2/.test(key),
  );
  const gs = gradients(
    [{ y: logits, seed: input("seed", logits.shape) }],
    trained.map(([, value]) => value),
  );
  const outputs = Object.fromEntries(gs.map((g, i) => [`d ${trained[i]?.[0]}`, g]));
  const found = await evaluate(outputs, { ...feeds, seed }, weights);
  const gradient = (key: string): Float32Array => numbers(found[`d ${key}`]);
  const loss = async (own: StateDict) =>
    numbers((await evaluate({ logits }, feeds, own)).logits).reduce(
      (total, y, i) => total + y * (seed.data[i] ?? 0),
      0,
    );

  const parts = {
    convolutions: /^visual_encoder.*(conv\d|downsample\.0)\.weight$/,
    norms: /^visual_encoder.*(bn\d|downsample\.1)\.(weight|bias)$/,
    blocks: /^bridger/,
    decoder: /^decoder/,
  };
  for (const [name, pattern] of Object.entries(parts)) {
    const own = trained.map(([key]) => key).filter((key) => pattern.test(key));
    const square = own.reduce((total, key) => gradient(key).reduce((n, g) => n + g * g, total), 0);
    // Along the gradient itself, so far that the loss should change by this: random directions hardly change it.
    const change = 0.3;
    const moved = (by: number): StateDict =>
      new Map([
        ...weights,
        ...own.map((key): [string, Tensor] => {
          const g = gradient(key);
          const w = numbers(weights.get(key));
          return [
            key,
            f32(
              w.map((x, i) => x + (by * (g[i] ?? 0)) / square),
              weights.get(key)?.shape ?? [],
            ),
          ];
        }),
      ]);
    const [up, down] = [moved(change), moved(-change)];
    // What float32 has left of the step.
    const expected = own.reduce((total, key) => {
      const [a, b] = [numbers(up.get(key)), numbers(down.get(key))];
      return gradient(key).reduce((n, g, i) => n + g * ((a[i] ?? 0) - (b[i] ?? 0)), total);
    }, 0);
    const difference = (await loss(up)) - (await loss(down));
    assert.ok(
      Math.abs(difference - expected) <= 0.04 * expected,
      `${name}: the loss changes by ${difference}, expected ${expected}`,
    );
  }
});
