/**
 * `avseg eval` gives the published metrics on the miniature AVSBench. S4 is evaluated from our configuration and from a
 * published one; that both forms mean the same for every task is the subject of `src/config/published.test.ts`.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after } from "node:test";
import { z } from "zod";
import { openDataset } from "../src/datasets/avsbench/open-dataset.js";
import type { Task } from "../src/datasets/clip.js";
import { buildAvsModel } from "../src/models/avs-model.js";
import { binaryClasses, publishedModel } from "../src/models/model-config.js";
import { pvtV2Config } from "../src/models/pvt-v2.js";
import type { TensorOf } from "../src/tensor.js";
import { writeSafetensors } from "../src/weights/node/safetensors-file.js";
import { publishedConfig } from "./published-configs.js";
import { referencePath } from "./reference.js";
import { root, seededParameter } from "./support.js";
import { tempDir } from "./temp-dir.js";

const TOLERANCE = 1e-5;

const metrics = z.strictObject({ miou: z.number(), fscore: z.number(), batch_size: z.number() });
const binary = metrics.extend({ per_video_miou: z.record(z.string(), z.number()) });
const expectedSchema = z.strictObject({
  s4_pvt2_test: binary,
  ms3_pvt2_test_batch1: binary,
  ms3_pvt2_test_batch4: binary,
  avss_pvt2_test: metrics.extend({
    mask_features_bias_0_shift: z.number(),
    miou_published_no_background: z.number(),
    fscore_published_no_background: z.number(),
    classes_counted: z.number(),
    videos: z.array(z.string()),
  }),
  binary_mask_features_bias_shift: z.number(),
});

const evaluationSchema = z.object({
  batchSize: z.number(),
  summary: z.object({ miou: z.number(), fscore: z.number() }),
  metrics: z.record(z.string(), z.number()),
  clips: z.array(z.object({ id: z.string(), miou: z.number() })),
});
type Evaluation = z.infer<typeof evaluationSchema>;

const minibench = referencePath("minibench");
const expected = async () =>
  expectedSchema.parse(JSON.parse(await readFile(path.join(minibench, "expected.json"), "utf8")));

/** A whole published model with seeded weights, the bias of its logits shifted as the reference had it. */
async function checkpoint(task: Task, shift: (bias: TensorOf<"f32">) => void): Promise<string> {
  const { classes } = await openDataset({ task, root: minibench, split: "test", imageSize: 224 });
  const model = buildAvsModel(
    publishedModel({
      task,
      visual: pvtV2Config("pvt-v2-b5"),
      classes: task === "avss" ? classes : binaryClasses,
    }),
  );
  const weights = new Map(model.specs.map(({ key, shape }) => [key, seededParameter(key, shape)]));
  shift(weights.get("decoder.mask_features.bias") ?? assert.fail("no bias"));
  const file = path.join(await tempDir({ after }), "whole.safetensors");
  await writeSafetensors(file, weights);
  return file;
}

/** Runs `avseg eval` and returns what it wrote. */
async function evaluate(args: readonly string[]): Promise<Evaluation> {
  const out = await tempDir({ after });
  const main = path.join(root, "dist", "src", "cli", "main.js");
  const child = spawn(process.execPath, [main, "eval", ...args, "--out", out, "--no-report", "--json"], {
    env: { ...process.env, AVSEG_CACHE: path.join(out, "cache") },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += String(chunk);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += String(chunk);
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(code, 0, stderr);
  const written = await readFile(path.join(out, "evaluation.json"), "utf8");
  const evaluation = evaluationSchema.parse(JSON.parse(written));
  assert.deepEqual(JSON.parse(stdout), evaluation.metrics);
  return evaluation;
}

/** Our configuration of `task`, as arguments. */
const yaml = (task: Task): string[] => [
  path.join(root, "config", task, "pvt2.yaml"),
  "--set",
  `data.root=${minibench}`,
];

/** A published configuration of `task`, a Python file that names the data, as arguments. */
async function python(task: Task): Promise<string[]> {
  const file = path.join(await tempDir({ after }), `ETAVS_pvt2_${task}.py`);
  await writeFile(file, publishedConfig(task, "pvt2", minibench));
  return [file];
}

function assertFigure(actual: number | undefined, wanted: number, what: string): void {
  assert.ok(Math.abs((actual ?? Number.NaN) - wanted) <= TOLERANCE, `${what}: ${actual}, expected ${wanted}`);
}

function assertBinary(result: Evaluation, wanted: z.infer<typeof binary>, name: string): void {
  assert.equal(result.batchSize, wanted.batch_size);
  assertFigure(result.summary.miou, wanted.miou, `${name}: mIoU`);
  assertFigure(result.summary.fscore, wanted.fscore, `${name}: F-score`);
  const clips = new Map(result.clips.map((row) => [row.id, row.miou]));
  assert.deepEqual([...clips.keys()].sort(), Object.keys(wanted.per_video_miou).sort());
  for (const [id, miou] of Object.entries(wanted.per_video_miou))
    assertFigure(clips.get(id), miou, `${name}: ${id}`);
}

test("S4 and MS3: the published metrics", async () => {
  const {
    s4_pvt2_test: s4,
    ms3_pvt2_test_batch1: one,
    ms3_pvt2_test_batch4: four,
    binary_mask_features_bias_shift: shift,
  } = await expected();
  const file = await checkpoint("s4", ({ data }) => {
    data.set(data.map((value) => value + shift));
  });
  for (const [name, [config = "", ...options]] of Object.entries({
    YAML: yaml("s4"),
    Python: await python("s4"),
  }))
    assertBinary(await evaluate(["s4", config, file, ...options]), s4, `S4, ${name}`);
  const [config = "", ...options] = yaml("ms3");
  assertBinary(await evaluate(["ms3", config, file, ...options]), one, "MS3");
  assertBinary(await evaluate(["ms3", config, file, ...options, "--batch-size", "4"]), four, "MS3 in fours");
});

test("AVSS: the published metrics", async () => {
  const { avss_pvt2_test: avss } = await expected();
  const file = await checkpoint("avss", ({ data }) => {
    data[0] = (data[0] ?? 0) + avss.mask_features_bias_0_shift;
  });
  const [config = "", ...options] = yaml("avss");
  const result = await evaluate(["avss", config, file, ...options]);
  const figure = (key: string, wanted: number) => assertFigure(result.metrics[key], wanted, `AVSS: ${key}`);
  assert.equal(result.batchSize, avss.batch_size);
  figure("miouPublished", avss.miou);
  figure("fscorePublished", avss.fscore);
  figure("miouPublishedNoBackground", avss.miou_published_no_background);
  figure("fscorePublishedNoBackground", avss.fscore_published_no_background);
  assert.equal(result.metrics.classesCounted, avss.classes_counted);
  assert.deepEqual(
    result.clips.map(({ id }) => id),
    avss.videos,
  );
});
