/**
 * What `avseg export --precision int8` gains: the published S4 model (PVTv2-B5, random weights) in fp32 and in 8 bits,
 * one clip per run, in turns in one process, so that a busy machine slows both alike. Threads that wait do not spin:
 * the time on the processor is that of the work. Prints one line of JSON.
 *
 *     node dist/bench/int8.js 9
 */

import { availableParallelism } from "node:os";
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
  readonly fp32Seconds: number;
  readonly int8Seconds: number;
  readonly timeRatio: number;
  readonly fp32CpuSeconds: number;
  readonly int8CpuSeconds: number;
  readonly cpuRatio: number;
  /** Share of the logits that are on the other side of fp32's median: random weights have no better threshold. */
  readonly flippedShare: number;
}

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
    extra: { session: { intra_op: { allow_spinning: "0" } } },
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
const [full, quantised] = [await logits(sessions.fp32), await logits(sessions.int8)];
const middle = median(full);
const flipped = full.filter((x, i) => x > middle !== (quantised[i] ?? 0) > middle);

const seconds = { fp32: [] as number[], int8: [] as number[] };
const cpuSeconds = { fp32: [] as number[], int8: [] as number[] };
for (let k = 0; k < Number(process.argv[2] ?? 9); k++) {
  for (const precision of ["fp32", "int8"] as const) {
    const [cpuBefore, started] = [process.cpuUsage(), performance.now()];
    await logits(sessions[precision]);
    seconds[precision].push((performance.now() - started) / 1000);
    const { user, system } = process.cpuUsage(cpuBefore);
    cpuSeconds[precision].push((user + system) / 1e6);
  }
}
const measurement: Int8Measurement = {
  fp32Seconds: median(seconds.fp32),
  int8Seconds: median(seconds.int8),
  timeRatio: median(seconds.int8) / median(seconds.fp32),
  fp32CpuSeconds: median(cpuSeconds.fp32),
  int8CpuSeconds: median(cpuSeconds.int8),
  cpuRatio: median(cpuSeconds.int8) / median(cpuSeconds.fp32),
  flippedShare: flipped.length / full.length,
};
process.stdout.write(`${JSON.stringify(measurement)}\n`);
