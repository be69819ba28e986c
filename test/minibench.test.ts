/** The published figures on the miniature AVSBench: datasets, models and metrics together. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test, { after } from "node:test";
import { z } from "zod";
import type { Task } from "../src/datasets/clip.js";
import { ClipLoader } from "../src/datasets/loader.node.js";
import { openDataset } from "../src/datasets/open-dataset.node.js";
import { evaluate } from "../src/evaluation/evaluate.js";
import type { EvaluationResult } from "../src/evaluation/result.js";
import { emitOnnx, input } from "../src/graph/index.js";
import { buildAvsModel } from "../src/models/avs-model.js";
import { normaliseFrames } from "../src/models/normalise.js";
import type { Predictor } from "../src/models/predictor.js";
import { publishedModel, pvtPreset } from "../src/models/presets.js";
import { Pass } from "../src/nn/index.js";
import { nodeRuntime } from "../src/runtime/node.js";
import { asF32, type TensorOf } from "../src/tensor.js";
import { seededParameter, sharedPath } from "./support.js";

const TOLERANCE = 1e-4;

const figures = z.object({ miou: z.number(), fscore: z.number(), batch_size: z.number() });
const perVideo = figures.extend({ per_video_miou: z.record(z.string(), z.number()) });
const expectedSchema = z.object({
  s4_pvt2_test: perVideo,
  ms3_pvt2_test_batch1: perVideo,
  ms3_pvt2_test_batch4: perVideo,
  avss_pvt2_test: figures.extend({
    mask_features_bias_0_shift: z.number(),
    miou_published_no_background: z.number(),
    fscore_published_no_background: z.number(),
    classes_counted: z.number(),
  }),
  binary_mask_features_bias_shift: z.number(),
});

async function expectedFigures(): Promise<z.infer<typeof expectedSchema> | undefined> {
  const file = sharedPath("minibench", "expected.json");
  return file === undefined ? undefined : expectedSchema.parse(JSON.parse(await readFile(file, "utf8")));
}

const runtime = nodeRuntime();
after(() => runtime.close());
const weights = new Map<string, TensorOf<"f32">>();

/** The published model with seeded weights, its last bias shifted as the reference figures had it. */
async function seededPredictor(
  task: Task,
  classes: readonly string[],
  shift: (bias: TensorOf<"f32">) => void,
): Promise<Predictor> {
  const published = publishedModel(task, pvtPreset("pvt-v2-b5"), task === "avss" ? classes : undefined);
  const model = buildAvsModel(published);
  for (const { key, shape } of model.specs) {
    if (weights.get(key)?.shape.join() !== shape.join()) weights.set(key, seededParameter(key, shape));
  }
  const bias = weights.get("decoder.mask_features.bias") ?? assert.fail("no bias");
  const shifted = { ...bias, data: bias.data.slice() };
  shift(shifted);
  const { frameCount, imageSize } = published;
  const keep = input("keep", [frameCount], "f32");
  const logits = model.forward(
    {
      frames: normaliseFrames(input("frames", [frameCount, imageSize, imageSize, 3], "u8")),
      embedding: model.embedAudio(input("logMel", [frameCount, 1, 96, 64], "f32")),
      ...(task === "avss" && { keep }),
    },
    new Pass(),
  );
  const session = await runtime.createSession({
    graph: emitOnnx({ logits }),
    weights: new Map([...weights, ["decoder.mask_features.bias", shifted]]),
  });
  return {
    frameCount,
    imageSize,
    classes,
    predict: async ({ frames, logMel, keep: kept }) => {
      const outputs = await session.run({ frames, logMel, ...(task === "avss" && { keep: kept }) });
      return asF32(outputs.logits ?? assert.fail("no logits"), "logits");
    },
    close: () => session.close(),
  };
}

/** Evaluates the test split once per batch size. */
async function evaluateTestSplit(
  task: Task,
  batchSizes: readonly number[],
  shift: (bias: TensorOf<"f32">) => void,
): Promise<EvaluationResult[]> {
  const root = sharedPath("minibench") ?? assert.fail("minibench absent");
  const dataset = await openDataset({ task, root, split: "test", imageSize: 224 });
  const predictor = await seededPredictor(task, dataset.classes, shift);
  const results: EvaluationResult[] = [];
  for (const batchSize of batchSizes) {
    const clips = new ClipLoader(dataset, { workers: 0 }).batches({ batchSize });
    results.push(
      await evaluate({ predictor, task, clips, total: dataset.entries.length, batchSize, clipsPerRun: 1 }),
    );
  }
  await predictor.close();
  return results;
}

function assertFigure(actual: number | undefined, expected: number | undefined, what: string): void {
  assert.ok(actual !== undefined && expected !== undefined, `${what}: ${actual}, expected ${expected}`);
  assert.ok(Math.abs(actual - expected) <= TOLERANCE, `${what}: ${actual}, expected ${expected}`);
}

function assertBinary(result: EvaluationResult | undefined, expected: z.infer<typeof perVideo>): void {
  assertFigure(result?.headline.miou, expected.miou, "mIoU");
  assertFigure(result?.headline.fscore, expected.fscore, "F-score");
  const clips = new Map(result?.clips.map((row) => [row.id, row.miou]));
  assert.deepEqual(new Set(clips.keys()), new Set(Object.keys(expected.per_video_miou)));
  for (const [id, miou] of Object.entries(expected.per_video_miou)) assertFigure(clips.get(id), miou, id);
}

const shiftAll =
  (by: number) =>
  ({ data }: TensorOf<"f32">): void => {
    if (data instanceof Float32Array)
      for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) + by;
  };

const shiftFirst =
  (by: number) =>
  ({ data }: TensorOf<"f32">): void => {
    data[0] = (data[0] as number) + by;
  };

test("S4: the published figures", async (t) => {
  const expected = await expectedFigures();
  if (expected === undefined) return t.skip("minibench absent");
  const { s4_pvt2_test: s4, binary_mask_features_bias_shift: shift } = expected;
  const [result] = await evaluateTestSplit("s4", [s4.batch_size], shiftAll(shift));
  assertBinary(result, s4);
});

test("MS3: the published figures, which depend on the batch size", async (t) => {
  const expected = await expectedFigures();
  if (expected === undefined) return t.skip("minibench absent");
  const {
    ms3_pvt2_test_batch1: one,
    ms3_pvt2_test_batch4: four,
    binary_mask_features_bias_shift: shift,
  } = expected;
  const results = await evaluateTestSplit("ms3", [1, 4], shiftAll(shift));
  assertBinary(results[0], one);
  assertBinary(results[1], four);
});

test("AVSS: the published figures", async (t) => {
  const expected = await expectedFigures();
  if (expected === undefined) return t.skip("minibench absent");
  const { avss_pvt2_test: avss } = expected;
  const [result] = await evaluateTestSplit(
    "avss",
    [avss.batch_size],
    shiftFirst(avss.mask_features_bias_0_shift),
  );
  assert.ok(result?.task === "avss");
  assertFigure(result.figures.miouPublished, avss.miou, "mIoU");
  assertFigure(result.figures.fscorePublished, avss.fscore, "F-score");
  assertFigure(
    result.figures.miouPublishedNoBackground,
    avss.miou_published_no_background,
    "mIoU without the last class",
  );
  assertFigure(
    result.figures.fscorePublishedNoBackground,
    avss.fscore_published_no_background,
    "F-score without the last class",
  );
  assert.equal(result.figures.classesCounted, avss.classes_counted);
});
