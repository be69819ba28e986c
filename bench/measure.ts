/**
 * One measurement in a process of its own, so that its peak memory is its own: a forward pass or a training
 * step of the published S4 model (PVTv2-B5, 5 frames of 224x224 per clip, random weights), and the rate of a
 * 1024^3 matrix product beside each run. Started by `main.ts`, it answers every message: with what it took to get
 * ready, then with a `Round` each, and to "end" with its peak memory.
 */

import { setTimeout } from "node:timers/promises";
import { checkConfig } from "../src/config/validate.js";
import { parseYamlConfig } from "../src/config/yaml.js";
import { singleRank } from "../src/distributed/ranks.js";
import { emitOnnx, input, matmul, parameter } from "../src/graph/index.js";
import { modelPredictor } from "../src/inference/model-predictor.js";
import { buildAvsModel } from "../src/models/avs-model.js";
import { publishedModel } from "../src/models/model-config.js";
import { pvtV2Config } from "../src/models/pvt-v2.js";
import { initialState } from "../src/nn/index.js";
import { createOptimizer } from "../src/optim/optimizers.js";
import { nodeRuntime } from "../src/runtime/node/node-runtime.js";
import type { Runtime, Session } from "../src/runtime/runtime.js";
import { full } from "../src/tensor.js";
import { openTrainingModel } from "../src/training/avs-training.js";
import { BatchStep } from "../src/training/batch-step.js";
import { WeightStore } from "../src/weights/weight-store.js";
import { frameCount, imageSize, noise, randomBytes, randomClip } from "./samples.js";

/** What it took until the first run was done. */
export interface Ready {
  readonly compileSeconds: number;
  /** The first run, in which sessions are made that nothing asked for before. */
  readonly firstSeconds: number;
}

/** One run, and rates of the matrix product right before it. */
export interface Round {
  readonly seconds: number;
  readonly matmulGflops: readonly number[];
}

/** What is known at the end. */
export interface End {
  readonly peakResidentBytes: number;
}

/** A 1024^3 matrix product by a frozen matrix, as in the model's linear layers. */
async function matmulProbe(runtime: Runtime): Promise<() => Promise<number>> {
  const shape = [1024, 1024];
  const y = matmul(input("a", shape), parameter("b", shape));
  const session: Session = await runtime.createSession({
    graph: emitOnnx({ y }),
    weights: new Map([["b", noise(shape, 1)]]),
    name: "matmul",
  });
  const a = noise(shape, 1);
  return async () => {
    const started = performance.now();
    await session.run({ a });
    return (2 * 1024 ** 3) / ((performance.now() - started) * 1e6);
  };
}

/** The work to repeat, and the seconds spent on its session before the first run. */
interface Work {
  readonly run: () => Promise<unknown>;
  readonly compileSeconds: number;
}

/** What to measure. */
interface What {
  /** `forward`, `step` or `recompute`. */
  readonly kind: string;
  /** Clips of the batch. */
  readonly clips: number;
  /** Clips of a step that are computed at once. */
  readonly atOnce: number;
}

async function prepare({ kind, clips, atOnce }: What, runtime: Runtime): Promise<Work> {
  const modelConfig = publishedModel({ task: "s4", visual: pvtV2Config("pvt-v2-b5") });
  const batch = Array.from({ length: clips }, (_, i) => randomClip(i));
  if (kind === "forward") {
    const model = buildAvsModel(modelConfig);
    const weights = initialState(model.specs, 1);
    const store = new WeightStore({ load: async () => weights, initial: weights });
    const started = performance.now();
    const predictor = await modelPredictor({ model, store, runtime, clipsPerRun: clips });
    const compileSeconds = (performance.now() - started) / 1000;
    const n = clips * frameCount;
    const frames = randomBytes([n, imageSize, imageSize, 3]);
    const logMel = noise([n, 1, 96, 64], 3);
    const frameMask = full([n], 1);
    return { run: () => predictor.predict({ frames, logMel, frameMask }), compileSeconds };
  }
  if (kind !== "step" && kind !== "recompute") {
    throw new Error(`measure: expected forward, step or recompute, got ${kind}`);
  }
  const yaml =
    "task: s4\nmodel: { visual: { kind: pvt-v2-b5, weights: null }, audio: { weights: null } }\n" +
    `training: { recompute: ${kind === "recompute"} }\n`;
  const config = checkConfig(parseYamlConfig(yaml, "bench"));
  const model = await openTrainingModel({ config, modelConfig, runtime });
  const started = performance.now();
  const step = await model.compileStep(atOnce, 0);
  const compileSeconds = (performance.now() - started) / 1000;
  const batchStep = new BatchStep({
    weights: model.weights,
    ranks: singleRank,
    optimizer: createOptimizer({ kind: "adamw" }),
    compiled: async () => step,
    countedFrames: () => 1,
  });
  const trained = model.trainedKeys(0);
  let number = 0;
  const run = () =>
    batchStep.run({ clips: batch, total: clips, atOnce, trained, step: number++, learningRate: 6e-5 });
  return { run, compileSeconds };
}

const [kind = "", clips = "1", atOnce = clips] = process.argv.slice(2);
const runtime = nodeRuntime();
const probe = await matmulProbe(runtime);
const work = await prepare({ kind, clips: Number(clips), atOnce: Number(atOnce) }, runtime);

async function ready(): Promise<Ready> {
  const started = performance.now();
  await work.run();
  return { compileSeconds: work.compileSeconds, firstSeconds: (performance.now() - started) / 1000 };
}

async function round(): Promise<Round> {
  // Each session has threads of its own, which look out for work a while after a run.
  await setTimeout(200);
  const matmulGflops: number[] = [];
  for (let k = 0; k < 8; k++) matmulGflops.push(await probe());
  await setTimeout(200);
  const started = performance.now();
  await work.run();
  return { seconds: (performance.now() - started) / 1000, matmulGflops };
}

async function end(): Promise<End> {
  await runtime.close();
  return { peakResidentBytes: process.resourceUsage().maxRSS * 1024 };
}

const answers = { ready, round, end };
process.on("message", async (message: keyof typeof answers) => {
  process.send?.(await answers[message]());
  if (message === "end") process.disconnect();
});
