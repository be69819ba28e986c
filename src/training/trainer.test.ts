import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after, type TestContext } from "node:test";
import { tempDir } from "../../test/temp-dir.js";
import { modelFromConfig } from "../config/model-from-config.js";
import type { Config } from "../config/schema.js";
import { checkConfig } from "../config/validate.js";
import type { Clip } from "../datasets/clip.js";
import { AvsegError, DivergenceError, OutOfMemoryError } from "../errors.js";
import { cast, input, matmul, mean, mul, parameter, reshape, sub } from "../graph/index.js";
import type { Predictor } from "../inference/predictor.js";
import { Random } from "../random.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { f32, full, type TensorOf } from "../tensor.js";
import { WeightStore } from "../weights/weight-store.js";
import type { ClipStep } from "./batch-step.js";
import { loadCheckpoint } from "./checkpoint.js";
import { runFiles } from "./run-files.js";
import { readLog } from "./run-log.js";
import { compileStep } from "./step.js";
import { Trainer } from "./trainer.js";
import type { ClipSource, TrainableModel, TrainerEvent } from "./trainer-options.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());

const clipCount = 7;
const config = (set: object = {}, batchSize = 3): Config =>
  checkConfig({
    value: {
      task: "s4",
      data: { batchSize },
      training: { epochs: 4, optimizer: { learningRate: 0.05 }, checkpointEverySteps: 2, ...set },
    },
    where: () => "test",
  });

function clip(index: number): Clip {
  const random = new Random(index);
  return {
    id: `clip${index}`,
    category: "",
    frames: {
      dtype: "u8",
      shape: [1, 1, 4],
      data: Uint8Array.from({ length: 4 }, () => random.integer(256)),
    },
    logMel: full([1, 1, 96, 64]),
    masks: { dtype: "u8", shape: [1, 1, 1], data: Uint8Array.of(random.integer(2)) },
    labeled: [0],
    frameMask: full([1], 1),
  };
}

const clips: ClipSource = {
  length: clipCount,
  batchCount: ({ batchSize }) => Math.ceil(clipCount / batchSize),
  async *batches({ epoch, batchSize, startBatch, range }) {
    const order = new Random(9, epoch).permutation(clipCount);
    for (let at = startBatch * batchSize; at < clipCount; at += batchSize) {
      const batch = order.slice(at, at + batchSize);
      const { start, end } = range(batch.length);
      yield batch.slice(start, end).map(clip);
    }
  },
};

/** Linear regression with noise drawn per step and clip; a second weight trains from epoch 2 on. */
function tinyModel(): TrainableModel {
  const w = f32([0.1, 0.2, 0.3, 0.4], [4, 1]);
  const late = f32([1], [1]);
  const weights = new Map<string, TensorOf<"f32">>([
    ["w", w],
    ["late", late],
  ]);
  const trainedKeys = (epoch: number) => (epoch >= 2 ? ["w", "late"] : ["w"]);
  return {
    modelConfig: modelFromConfig(config()),
    weights,
    frozen: {},
    trainedKeys,
    statistics: [],
    async compileStep(count, epoch) {
      const x = mul(cast(input("x", [count, 4], "u8"), "f32"), input("noise", [count, 4]));
      const leaves = [parameter("w", [4, 1]), parameter("late", [1])] as const;
      const error = sub(
        mul(reshape(matmul(x, leaves[0]), [count]), leaves[1]),
        cast(input("y", [count], "u8"), "f32"),
      );
      const fraction = input("fraction", []);
      const definition = {
        loss: mul(mean(mul(error, error)), fraction),
        reports: new Map([["error", mul(mean(error), fraction)]]),
        trainable: leaves.slice(0, trainedKeys(epoch).length),
        updates: new Map(),
      };
      const step = await compileStep(runtime, WeightStore.of(weights), definition);
      return {
        run({ clips: group, first, fractions }, key) {
          const random = new Random(77, key).skip(first * 4);
          const noise = Float32Array.from({ length: count * 4 }, () => random.uniform() / 255);
          const pixels = Uint8Array.from(group.flatMap((c) => [...c.frames.data]));
          const targets = Uint8Array.from(group.flatMap((c) => [...c.masks.data]));
          const feeds = {
            x: { dtype: "u8", shape: [count, 4], data: pixels },
            y: { dtype: "u8", shape: [count], data: targets },
            noise: f32(noise, [count, 4]),
            fraction: f32([fractions.clips], []),
          } as const;
          return step.run(feeds);
        },
        close: () => step.close(),
      };
    },
    async predictor(): Promise<Predictor> {
      const predict = async () => f32([w.data[0] ?? 0], [1]);
      return {
        frameCount: 1,
        imageSize: 32,
        maskSize: 32,
        classes: [],
        clipsPerRun: 1,
        predict,
        close: async () => {},
      };
    },
  };
}

interface Run {
  /** Thrown by every step. */
  readonly failure?: () => never;
  readonly workDir: string;
  readonly set?: object | undefined;
  readonly batchSize?: number | undefined;
  readonly stopAfter?: number | undefined;
  readonly resume?: boolean | undefined;
  /** mIoU of the n-th validation. */
  readonly scores?: readonly number[] | undefined;
}

async function run({
  workDir,
  set,
  batchSize,
  stopAfter = Infinity,
  resume = false,
  scores,
  failure,
}: Run): Promise<TrainerEvent[]> {
  const events: TrainerEvent[] = [];
  const stop = new AbortController();
  const resumeFrom = resume ? { resumeFrom: await loadCheckpoint(runFiles(workDir).last) } : {};
  const trainer = new Trainer({
    config: config(set, batchSize),
    model: failure ? { ...tinyModel(), compileStep: async () => failing(failure) } : tinyModel(),
    clips,
    workDir,
    validate: async (predictor) => {
      const epoch = trainer.progress.epoch;
      const batch = { frames: clip(0).frames, logMel: clip(0).logMel, frameMask: clip(0).frameMask };
      const miou = scores?.[epoch] ?? (await predictor.predict(batch)).data[0] ?? 0;
      return { miou, fscore: 1 - miou };
    },
    ...resumeFrom,
  });
  let steps = 0;
  const onEvent = (event: TrainerEvent) => {
    events.push(event);
    if (event.kind === "step" && ++steps === stopAfter) stop.abort(new DOMException("stop", "AbortError"));
  };
  await trainer.run({ onEvent, signal: stop.signal }).catch((error: unknown) => {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
  });
  return events;
}

function failing(run: () => never): ClipStep {
  return { run: async () => run(), close: async () => {} };
}

/** Two work folders that do not exist yet. */
async function twoDirs(t: TestContext): Promise<[string, string]> {
  const dir = await tempDir(t);
  return [path.join(dir, "a"), path.join(dir, "b")];
}

const bytesOf = async (workDir: string) => {
  const { last, best } = runFiles(workDir);
  return Buffer.concat([await readFile(last), await readFile(best).catch(() => Buffer.of())]);
};
const logOf = async (workDir: string) => readLog(runFiles(workDir).metrics);

const settings = {
  "plain settings": {},
  "gradients accumulated and clipped, weights averaged": { accumulate: 2, clipNorm: 0.1, ema: 0.9 },
};
for (const [name, set] of Object.entries(settings)) {
  test(`${name}: a run stopped after any step and resumed is equal to the bit, log included`, async (t) => {
    const [whole, parts] = await twoDirs(t);
    await run({ workDir: whole, set, batchSize: 2 });
    for (const stopAfter of [1, 2, 3, 7]) {
      await rm(parts, { recursive: true, force: true });
      await run({ workDir: parts, set, batchSize: 2, stopAfter });
      assert.ok((await loadCheckpoint(runFiles(parts).last)).progress.step === stopAfter);
      await run({ workDir: parts, set, batchSize: 2, resume: true });
      assert.deepEqual(await bytesOf(parts), await bytesOf(whole), `stopped after ${stopAfter}`);
      assert.deepEqual(await logOf(parts), await logOf(whole));
    }
  });
}

test("accumulated batches train as one larger batch", async (t) => {
  const [larger, accumulated] = await twoDirs(t);
  await run({ workDir: larger, batchSize: 4 });
  await run({ workDir: accumulated, batchSize: 2, set: { accumulate: 2 } });
  assert.deepEqual(await logOf(accumulated), await logOf(larger));
  const [a, b] = await Promise.all([accumulated, larger].map((dir) => loadCheckpoint(runFiles(dir).last)));
  assert.deepEqual(a?.parameters, b?.parameters);
  assert.deepEqual(a?.optimizer, b?.optimizer);
});

test("gradients above the limit are scaled to it, and their norm is logged", async (t) => {
  const [free, clipped] = await twoDirs(t);
  const optimizer = { kind: "sgd", learningRate: 1e-3 };
  await run({ workDir: free, set: { optimizer }, stopAfter: 1 });
  await run({ workDir: clipped, set: { optimizer, clipNorm: 1e-3 }, stopAfter: 1 });
  const [first] = await logOf(clipped);
  const norm = Number(first?.gradientNorm);
  assert.ok(norm > 1e-3);
  const moved = async (dir: string): Promise<number> => {
    const w = (await loadCheckpoint(runFiles(dir).last)).parameters.get("w") ?? assert.fail("w");
    return Math.hypot(...[0.1, 0.2, 0.3, 0.4].map((x, i) => Number(w.data[i]) - x));
  };
  assert.ok(Math.abs((await moved(free)) / (1e-3 * norm) - 1) < 1e-3);
  assert.ok(Math.abs((await moved(clipped)) / (1e-3 * 1e-3) - 1) < 0.05); // float32 has few digits left of it
});

test("averages are validated and saved for use; the weights that train are saved beside them", async (t) => {
  const [workDir, plain] = await twoDirs(t);
  const events = await run({ workDir, set: { ema: 0.9 } });
  await run({ workDir: plain });
  const { last, best } = runFiles(workDir);
  const saved = await loadCheckpoint(last);
  const first = (tensor: { data: ArrayLike<number | bigint> } | undefined) => Number(tensor?.data[0]);
  const live = await loadCheckpoint(runFiles(plain).last);
  assert.deepEqual(saved.live, live.parameters); // averages change nothing about training
  assert.notEqual(first(saved.parameters.get("w")), first(saved.live?.get("w")));
  const record = events.findLast((event) => event.kind === "epoch")?.record;
  assert.equal(record?.validation?.miou, first(saved.parameters.get("w"))); // the test's model predicts its weight
  const { live: none, parameters } = await loadCheckpoint(best);
  assert.equal(none, undefined);
  assert.ok(parameters.has("w"));
});

test("the last checkpoint before a kill is enough: later work is done again", async (t) => {
  const [whole, parts] = await twoDirs(t);
  await run({ workDir: whole });
  await run({ workDir: parts, stopAfter: 4 }); // one step into the second epoch
  const early = await readFile(runFiles(parts).last);
  await run({ workDir: parts, resume: true });
  await writeFile(runFiles(parts).last, early); // as if killed before any newer checkpoint was renamed
  await run({ workDir: parts, resume: true });
  assert.deepEqual(await bytesOf(parts), await bytesOf(whole));
  assert.deepEqual(await logOf(parts), await logOf(whole));
});

test("the best epoch is kept, by mIoU or by its mean with F; epochs before evaluateFrom are not evaluated", async (t) => {
  const [workDir] = await twoDirs(t);
  const scores = [0.9, 0.2, 0.5, 0.4];
  const events = await run({ workDir, set: { evaluateFrom: 1 }, scores });
  const epochs = events.filter((event) => event.kind === "epoch");
  assert.deepEqual(
    epochs.map(({ best }) => best),
    [false, true, true, false],
  );
  const best = await loadCheckpoint(runFiles(workDir).best);
  assert.deepEqual(best.progress.best, { epoch: 2, value: 0.5 });
  assert.equal(best.optimizer, undefined);
  assert.deepEqual([...best.parameters.keys()].sort(), ["late", "w"]);
  const first = epochs[0]?.record;
  assert.equal(first?.validation, undefined);
  const losses = (await readLog(runFiles(workDir).metrics)).filter(
    (line) => line.epoch === 0 && line.kind === "step",
  );
  const weighted =
    losses.reduce((sum, line, i) => sum + Number(line.loss) * (i === 2 ? 1 : 3), 0) / clipCount;
  assert.equal(first?.loss, weighted);
});

test("unfreezing adds parameters to the checkpoint from that epoch on", async (t) => {
  const [workDir] = await twoDirs(t);
  await run({ workDir, stopAfter: 6 });
  assert.deepEqual([...(await loadCheckpoint(runFiles(workDir).last)).parameters.keys()], ["w"]);
  await run({ workDir, resume: true, stopAfter: 1 });
  assert.deepEqual([...(await loadCheckpoint(runFiles(workDir).last)).parameters.keys()], ["late", "w"]);
});

test("divergence is reported as such and never enters a checkpoint", async (t) => {
  const [workDir] = await twoDirs(t);
  await run({ workDir, stopAfter: 2 });
  const set = { optimizer: { learningRate: 1e20, weightDecay: 1 }, epochs: 40 }; // a decay factor of 1 - 1e20
  await assert.rejects(run({ workDir, resume: true, set }), (error: unknown) => {
    assert.ok(error instanceof DivergenceError);
    assert.match(error.message, /^training diverged: .*(loss is|is not finite)/);
    assert.equal(error.hint, "Lower the learning rate with --set training.optimizer.learningRate=RATE.");
    return true;
  });
  const { parameters } = await loadCheckpoint(runFiles(workDir).last);
  assert.ok([...parameters.values()].every(({ data }) => data.every((x) => Number.isFinite(Number(x)))));
});

test("a step that does not fit in memory asks for less at once, not for a lower learning rate", async (t) => {
  const [workDir] = await twoDirs(t);
  const failure = (): never => {
    throw new RangeError(`not reached: ${new ArrayBuffer(2 ** 50).byteLength}`);
  };
  await assert.rejects(run({ workDir, failure }), (error: unknown) => {
    assert.ok(error instanceof OutOfMemoryError);
    assert.equal(
      error.message,
      "epoch 1, step 1: out of memory with 1 clip at once (Array buffer allocation failed)",
    );
    assert.equal(error.hint, "Keep fewer activations with --set training.recompute=true, or free memory.");
    return true;
  });
});

test("an error of a shape rule is a bug and stays what it is", async (t) => {
  const [workDir] = await twoDirs(t);
  const bug = new RangeError("matmul: [2,3] and [2,3] do not fit");
  const failure = (): never => {
    throw bug;
  };
  await assert.rejects(run({ workDir, failure }), (error: unknown) => {
    assert.equal(error, bug);
    assert.ok(!(error instanceof AvsegError));
    return true;
  });
});
