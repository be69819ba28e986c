/**
 * What `avseg export --precision int8` gains: the published S4 model (PVTv2-B5, random weights) in fp32 and in 8 bits,
 * one clip per run, in turns in one process with a rest before each run, so that a busy machine slows both alike and a
 * run is not charged for the one before it. Threads that wait do not spin, unless `spin` follows: the time on the
 * processor is then that of the work. Prints one line of JSON.
 *
 *     node dist/bench/int8.js 9
 *     node dist/bench/int8.js 9 spin
 */
import { availableParallelism } from "node:os";
import { setTimeout } from "node:timers/promises";
import * as ort from "onnxruntime-node";
import { type Precision, prepareExport } from "../src/export/prepare.js";
import { serializeOnnx } from "../src/graph/index.js";
import { buildAvsModel } from "../src/models/avs-model.js";
import { publishedModel } from "../src/models/model-config.js";
import { pvtV2Config } from "../src/models/pvt-v2.js";
import { initialState } from "../src/nn/index.js";
import { nodeRuntime } from "../src/runtime/node/node-runtime.js";
import { sessionOptions, toOrt } from "../src/runtime/ort-tensors.js";
import { frameCount, imageSize, median, noise, randomBytes } from "./samples.js";

/** Medians of both models, and int8 over fp32. */
export interface Int8Measurement {
  /** Whether threads that wait for work look out for it all the time, as is ONNX Runtime's default. */
  readonly spinning: boolean;
  readonly fp32Seconds: number;
  readonly int8Seconds: number;
  readonly timeRatio: number;
  readonly fp32CpuSeconds: number;
  readonly int8CpuSeconds: number;
  readonly cpuRatio: number;
  /** Fraction of the logits that are on the other side of fp32's median: random weights have no better threshold. */
  readonly flippedFraction: number;
}

/** Rest before a run. */
const restMilliseconds = 1500;

const [rounds = "9", spin] = process.argv.slice(2);
const spinning = spin === "spin";
const model = buildAvsModel(publishedModel({ task: "s4", visual: pvtV2Config("pvt-v2-b5") }));
const weights = initialState(model.specs, 1);

async function open(precision: Precision): Promise<ort.InferenceSession> {
  const runtime = nodeRuntime();
  const form = { clips: 1, frames: "u8", audio: "log-mel" } as const;
  const stored = await prepareExport({ model, weights, form, precision, runtime });
  await runtime.close();
  const bytes = serializeOnnx(stored.graph, {
    parameter: ({ name }) => {
      const data = stored.weights.get(name);
      if (data === undefined) throw new Error(`bench: "${name}" has no data`);
      return { bytes: data.data };
    },
  });
  return ort.InferenceSession.create(bytes, {
    ...sessionOptions("cpu", availableParallelism()),
    extra: { session: { intra_op: { allow_spinning: spinning ? "1" : "0" } } },
  });
}

const feeds = {
  frames: toOrt(ort.Tensor, randomBytes([frameCount, imageSize, imageSize, 3])),
  logMel: toOrt(ort.Tensor, noise([frameCount, 1, 96, 64], 3)),
};

async function logits(session: ort.InferenceSession): Promise<Float32Array> {
  const data = (await session.run(feeds, ["logits"])).logits?.data;
  if (!(data instanceof Float32Array)) throw new Error("bench: the model gave no logits");
  return data;
}

const sessions = { fp32: await open("fp32"), int8: await open("int8") };
const [full, quantized] = [await logits(sessions.fp32), await logits(sessions.int8)];
const middle = median(full);
const flipped = full.filter((x, i) => x > middle !== (quantized[i] ?? 0) > middle);

const seconds = { fp32: [] as number[], int8: [] as number[] };
const cpuSeconds = { fp32: [] as number[], int8: [] as number[] };
for (let k = 0; k < Number(rounds); k++) {
  for (const precision of ["fp32", "int8"] as const) {
    await setTimeout(restMilliseconds);
    const [cpuBefore, started] = [process.cpuUsage(), performance.now()];
    await logits(sessions[precision]);
    seconds[precision].push((performance.now() - started) / 1000);
    const { user, system } = process.cpuUsage(cpuBefore);
    cpuSeconds[precision].push((user + system) / 1e6);
  }
}
const measurement: Int8Measurement = {
  spinning,
  fp32Seconds: median(seconds.fp32),
  int8Seconds: median(seconds.int8),
  timeRatio: median(seconds.int8) / median(seconds.fp32),
  fp32CpuSeconds: median(cpuSeconds.fp32),
  int8CpuSeconds: median(cpuSeconds.int8),
  cpuRatio: median(cpuSeconds.int8) / median(cpuSeconds.fp32),
  flippedFraction: flipped.length / full.length,
};
process.stdout.write(`${JSON.stringify(measurement)}\n`);
