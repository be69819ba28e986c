/**
 * Training steps of one rank, in a process of its own: a published model with random weights on random clips. Started by
 * `measureSteps`, alone or by `mpirun`; the first rank prints a `StepTimes`.
 */

import { modelFromConfig } from "../src/config/model-from-config.js";
import { checkConfig } from "../src/config/validate.js";
import { parseYamlConfig } from "../src/config/yaml.js";
import { openRanks } from "../src/distributed/open-ranks.js";
import { rangeOf } from "../src/distributed/ranks.js";
import { createOptimizer, type Optimizer } from "../src/optim/optimizers.js";
import { nodeRuntime } from "../src/runtime/node/node-runtime.js";
import { openTrainingModel } from "../src/training/avs-training.js";
import { BatchStep } from "../src/training/batch-step.js";
import { countedFrames } from "../src/training/counted-frames.js";
import { StepCache } from "../src/training/step-cache.js";
import { randomClip } from "./samples.js";
import type { StepOptions, StepTimes } from "./start-ranks.js";

async function measure({ task, model: kind, batchSize, steps, threads }: StepOptions): Promise<void> {
  const ranks = await openRanks(process.env);
  const yaml = `task: ${task}\nmodel: { visual: { kind: ${kind}, weights: null }, audio: { weights: null } }\n`;
  const config = checkConfig(parseYamlConfig(yaml, "bench"));
  const classes = Array.from({ length: task === "avss" ? 71 : 2 }, (_, i) => `class ${i}`);
  const modelConfig = modelFromConfig(config, classes);
  const runtime = nodeRuntime({ threads });
  const opening = performance.now();
  const model = await openTrainingModel({ config, modelConfig, runtime });
  const cache = new StepCache(model);
  const trained = await cache.enter(0);
  const optimizer = createOptimizer({ kind: "adamw" });
  let updateSeconds = 0;
  const timed: Optimizer = {
    ...optimizer,
    step: (parameters, learningRate) => {
      const started = performance.now();
      optimizer.step(parameters, learningRate);
      updateSeconds = (performance.now() - started) / 1000;
    },
  };
  const batchStep = new BatchStep({
    weights: model.weights,
    ranks,
    optimizer: timed,
    compiled: (clips) => cache.get(clips),
    countedFrames: (clip) => countedFrames(clip, modelConfig),
    ahead: 2, // as the trainer
  });
  const { start, end } = rangeOf(ranks, batchSize);
  const clips = Array.from({ length: end - start }, (_, i) => randomClip(start + i, modelConfig));
  const [seconds, update, wait, reduce]: [number[], number[], number[], number[]] = [[], [], [], []];
  let openSeconds = 0;
  for (let step = 0; step <= steps; step++) {
    const started = performance.now();
    const batch = { clips, total: batchSize, atOnce: 1, trained, step, learningRate: 6e-5 };
    const { reports } = await batchStep.run(batch);
    const ended = performance.now();
    if (step === 0) openSeconds = (ended - opening) / 1000; // with the first step, which is not like the others
    if (step === 0) continue;
    seconds.push((ended - started) / 1000);
    update.push(updateSeconds);
    wait.push(reports.waitSeconds ?? 0);
    reduce.push(reports.reduceSeconds ?? 0);
  }
  const result: StepTimes = {
    ...{ seconds, updateSeconds: update, waitSeconds: wait, reduceSeconds: reduce },
    openSeconds,
    trainedParameters: model.parameterCounts.trained,
  };
  if (ranks.rank === 0) process.stdout.write(`${JSON.stringify(result)}\n`);
  await runtime.close();
  ranks.close();
}

await measure(JSON.parse(process.argv[2] ?? ""));
