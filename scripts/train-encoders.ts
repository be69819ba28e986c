/**
 * Trains the small encoders of SoundShapes from scratch, through this engine, with everything unfrozen:
 * a PVTv2-B0 to name the kind at every pixel, a narrow VGGish to name the kinds that sound.
 * The heads that do the naming are thrown away.
 *
 *     npm run build && node dist/scripts/train-encoders.js audio --steps 900 --batch 32
 *     npm run build && node dist/scripts/train-encoders.js visual --steps 3200
 *
 * Data is generated as it is needed and never repeats, so there is no split: the metrics printed are on
 * examples not seen before. Every draw is a function of the step, so the same command gives the same weights.
 */

import { parseArgs } from "node:util";
import { createProgress } from "../src/cli/progress.js";
import { kinds } from "../src/datasets/sound-shapes/kinds.js";
import { renderFrame, renderSound } from "../src/datasets/sound-shapes/render-clip.js";
import { DivergenceError } from "../src/errors.js";
import {
  add,
  cast,
  div,
  equal,
  greater,
  input,
  max,
  mean,
  mul,
  oneHot,
  relu,
  resize,
  softplus,
  sub,
  sum,
  transpose,
  type Value,
} from "../src/graph/index.js";
import { logMelExamples } from "../src/media/log-mel.js";
import { imagenetNormalization, normalizeFrames } from "../src/models/normalize-frames.js";
import { pvtV2, pvtV2Config } from "../src/models/pvt-v2.js";
import { type VggishConfig, vggish } from "../src/models/vggish.js";
import { encodeFrames } from "../src/models/visual-encoder.js";
import { initialState, linear, Pass, randomFeeds, Scope, toMap, toTokens } from "../src/nn/index.js";
import { createOptimizer } from "../src/optim/optimizers.js";
import { scheduleFactor } from "../src/optim/schedule.js";
import { Random } from "../src/random.js";
import { nodeRuntime } from "../src/runtime/node/node-runtime.js";
import type { StateDict, Tensor } from "../src/tensor.js";
import { applyGradients, replaceStatistics } from "../src/training/batch-step.js";
import { crossEntropyLoss } from "../src/training/losses.js";
import { compileStep } from "../src/training/step.js";
import { loadSafetensors, writeSafetensors } from "../src/weights/node/safetensors-file.js";
import { WeightStore } from "../src/weights/weight-store.js";

/** A PVTv2-B0; shallow enough to train from scratch with little drop path. */
const visualConfig = pvtV2Config("pvt-v2-b0", { dropPath: 0.05 });

/** A VGGish a quarter as wide. */
const audioConfig: VggishConfig = {
  kind: "vggish",
  widths: [16, 32, 64, 64, 128, 128],
  hidden: 256,
  pca: false,
};

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: "string", default: "6000" },
    batch: { type: "string", default: "16" },
    "image-size": { type: "string", default: "96" },
    "learning-rate": { type: "string", default: "1e-3" },
    out: { type: "string" },
    /** Weights to continue from. */
    from: { type: "string" },
    /** Number of the first step: continue where another run ended. */
    "first-step": { type: "string", default: "0" },
    "total-steps": { type: "string" },
  },
});

const steps = Number(values.steps);
const batch = Number(values.batch);
const firstStep = Number(values["first-step"]);
const totalSteps = Number(values["total-steps"] ?? firstStep + steps);
const learningRate = Number(values["learning-rate"]);
const imageSize = Number(values["image-size"]);
const seed = 20;

/** A task to train an encoder on. */
interface Task {
  /** Loss and a figure of merit from a pass and the encoder's scope. */
  readonly build: (scope: Scope, head: Scope, pass: Pass) => { loss: Value; score: Value };
  readonly feeds: (step: number) => Record<string, Tensor>;
  readonly weightDecay: number;
}

const audioTask: Task = {
  weightDecay: 0.01,
  build(scope, head) {
    const embedding = vggish(scope, audioConfig).embed(input("log_mel", [batch, 1, 96, 64]));
    const logits = linear(head, 128, kinds.length)(embedding);
    const target = input("target", [batch, kinds.length]);
    const loss = mean(sub(softplus(logits), mul(logits, target)));
    const right = equal(cast(greater(logits, 0), "f32"), target);
    return { loss, score: mean(cast(right, "f32")) };
  },
  feeds(step) {
    const logMel = new Float32Array(batch * 96 * 64);
    const target = new Float32Array(batch * kinds.length);
    for (let i = 0; i < batch; i++) {
      const index = step * batch + i;
      const random = new Random(seed, 1, index);
      // Mostly one voice; sometimes two or three together, or none.
      const share = random.uniform();
      const count = share < 0.06 ? 0 : share < 0.6 ? 1 : share < 0.85 ? 2 : 3;
      const sounding = random.permutation(kinds.length).slice(0, count);
      const sound = renderSound(
        sounding.flatMap((k) => kinds[k] ?? []),
        { seed, index },
      );
      logMel.set(logMelExamples(sound, 16_000).data.subarray(0, 96 * 64), i * 96 * 64);
      for (const k of sounding) target[i * kinds.length + k] = 1;
    }
    return {
      log_mel: { dtype: "f32", shape: [batch, 1, 96, 64], data: logMel },
      target: { dtype: "f32", shape: [batch, kinds.length], data: target },
    };
  },
};

const visualTask: Task = {
  weightDecay: 0.02,
  build(scope, head, pass) {
    const frames = input("frames", [batch, imageSize, imageSize, 3], "u8");
    const labels = input("labels", [batch, imageSize, imageSize], "i32");
    const grids = encodeFrames(
      pvtV2(scope, visualConfig),
      normalizeFrames(frames, imagenetNormalization),
      pass,
    );
    const side = imageSize / 4;
    const width = 64;
    // The stages' features, side by side at a quarter of the frame's size.
    const [first, ...rest] = grids.map((grid, i) => {
      const tokens = linear(head.at(`stage${i}`), visualConfig.dims[i] ?? 0, width)(grid.tokens);
      return resize(toMap({ ...grid, tokens }), { mode: "bilinear", height: side, width: side });
    });
    if (first === undefined) throw new Error("train-encoders: the encoder has no stages");
    const joined = toTokens(relu(rest.reduce(add, first)));
    const coarse = toMap({
      ...joined,
      tokens: linear(head.at("kinds"), width, kinds.length + 1)(joined.tokens),
    });
    const logits = resize(coarse, { mode: "bilinear", height: imageSize, width: imageSize });
    const loss = crossEntropyLoss(logits, labels, input("counts", [batch]));
    // Share of the object pixels whose kind is named rightly.
    const truth = transpose(oneHot(cast(labels, "i64"), kinds.length + 1), [0, 3, 1, 2]);
    const right = equal(sum(mul(logits, truth), { axes: [1] }), max(logits, { axes: [1] }));
    const objects = cast(greater(labels, 0), "f32");
    return { loss, score: div(sum(mul(cast(right, "f32"), objects)), sum(objects)) };
  },
  feeds(step) {
    const pixels = imageSize * imageSize;
    const frames = new Uint8Array(batch * pixels * 3);
    const labels = new Int32Array(batch * pixels);
    for (let i = 0; i < batch; i++) {
      const picture = renderFrame({ seed, index: step * batch + i, imageSize });
      frames.set(picture.image.data, i * pixels * 3);
      labels.set(picture.labels.data, i * pixels);
    }
    return {
      frames: { dtype: "u8", shape: [batch, imageSize, imageSize, 3], data: frames },
      labels: { dtype: "i32", shape: [batch, imageSize, imageSize], data: labels },
      counts: { dtype: "f32", shape: [batch], data: new Float32Array(batch).fill(1) },
    };
  },
};

/** Keeps the last thousand steps' mean readable: an exponential average. */
function averager(share = 0.02): (x: number) => number {
  let mean: number | undefined;
  return (x) => {
    mean = mean === undefined ? x : mean + share * (x - mean);
    return mean;
  };
}

async function train(name: string, task: Task): Promise<void> {
  const out = values.out ?? `assets/soundshapes/${name}.safetensors`;
  const scope = new Scope();
  const headScope = new Scope();
  const head = headScope.at("head");
  const pass = new Pass({ training: true });
  const { loss, score } = task.build(scope, head, pass);
  const weights = initialState([...scope.specs(), ...headScope.specs()], seed);
  if (values.from !== undefined) {
    for (const [key, tensor] of (await loadSafetensors(values.from)).tensors) weights.set(key, tensor);
  }
  const encoderKeys = new Set(scope.specs().map((spec) => spec.key));
  const runtime = nodeRuntime();
  const trainable = new Map([...scope.values(), ...headScope.values()]);
  const step = await compileStep(runtime, WeightStore.of(weights), {
    loss,
    reports: new Map([["score", score]]),
    trainable: [...trainable.values()],
    updates: pass.updates,
  });
  const trained = [...trainable.keys()];
  const optimizer = createOptimizer({ kind: "adamw", weightDecay: task.weightDecay });
  const schedule = { kind: "cosine", warmupSteps: 100, finalFraction: 0.01 } as const;
  const progress = createProgress(`${name} encoder`, steps);
  const averageLoss = averager();
  const averageScore = averager();
  const feedsAt = (n: number) => ({ ...task.feeds(n), ...randomFeeds(pass.sites, { seed, step: n }) });
  let next = feedsAt(firstStep);
  for (let n = firstStep; n < firstStep + steps; n++) {
    const running = step.run(next);
    // The next batch is made while the worker thread computes this one.
    next = feedsAt(n + 1);
    const { loss: l, reports, gradients, statistics, free } = await running;
    if (!Number.isFinite(l)) throw new DivergenceError(`step ${n}: the loss is ${l}`);
    const rate = learningRate * scheduleFactor(schedule, n, totalSteps);
    applyGradients({ weights, trained, gradients, optimizer, learningRate: rate });
    replaceStatistics(weights, statistics);
    free();
    const note = `loss ${averageLoss(l).toFixed(4)}, right ${averageScore(reports.score ?? 0).toFixed(4)}`;
    progress.update(n - firstStep + 1, note);
    const last = n + 1 === firstStep + steps;
    if (last || (n + 1) % 500 === 0) await save(out, weights, encoderKeys, name, last);
  }
  progress.done();
  await runtime.close();
}

/** Writes the encoder in half precision at the end, and below `work_dir` everything, to continue from with `--from`. */
async function save(
  out: string,
  weights: StateDict,
  keys: ReadonlySet<string>,
  name: string,
  last: boolean,
): Promise<void> {
  const encoder = new Map([...weights].filter(([key]) => keys.has(key)));
  const trainedOn = `SoundShapes, generated, seed ${seed}`;
  if (last) await writeSafetensors(out, encoder, { metadata: { encoder: name, trainedOn }, dtype: "f16" });
  await writeSafetensors(`work_dir/${name}-encoder.safetensors`, weights, { metadata: { trainedOn } });
}

const [name] = positionals;
if (name === "audio") await train(name, audioTask);
else if (name === "visual") await train(name, visualTask);
else throw new Error("train-encoders: say which one: audio or visual");
