import assert from "node:assert/strict";
import test, { after } from "node:test";
import { assertClose, seededParameter } from "../../test/support.js";
import { tinyConfig } from "../../test/tiny-model.js";
import { seededBatch } from "../../test/tiny-models.js";
import type { CheckpointError } from "../errors.js";
import { serializeOnnx } from "../graph/index.js";
import { type OnnxModel, type OnnxValue, readOnnx } from "../graph/onnx/read.js";
import { buildAvsModel } from "../models/avs-model.js";
import { modelConfigToJson } from "../models/model-config.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { WeightStore } from "../weights/weight-store.js";
import { inferenceGraph, modelPredictor } from "./model-predictor.js";
import { onnxPredictor } from "./onnx-predictor.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());
const model = buildAvsModel(tinyConfig);
const weights = new Map(model.specs.map(({ key, shape }) => [key, seededParameter(key, shape)]));

const beside = () => assert.fail("the file holds its weights");

/** The tiny model as a file of `clips` clips per run. */
function exported(clips: number, metadata: Record<string, string>): OnnxModel {
  const bytes = serializeOnnx(inferenceGraph(model, clips), {
    metadata,
    parameter: ({ name }) => ({ bytes: (weights.get(name) ?? assert.fail(name)).data }),
  });
  return readOnnx(bytes, "tiny.onnx");
}

test("an exported model predicts as its checkpoint does, whatever the batch", async () => {
  const batch = seededBatch(tinyConfig, { clips: 3 });
  const expected = await (await modelPredictor({ model, store: WeightStore.of(weights), runtime })).predict(
    batch,
  );
  const metadata = { model: modelConfigToJson(tinyConfig), clips: "2" };
  const predictor = await onnxPredictor({
    onnx: exported(2, metadata),
    file: "tiny.onnx",
    beside,
    runtime,
  });
  const logits = await predictor.predict(batch);
  assert.deepEqual(logits.shape, expected.shape);
  assertClose(logits.data, expected.data, 1e-5, "logits");
});

test("files that say nothing of a model, or take other inputs, are refused", async () => {
  const silent = onnxPredictor({ onnx: exported(1, {}), file: "tiny.onnx", beside, runtime });
  await assert.rejects(silent, (e: CheckpointError) => /do not describe a model/.test(e.message));
  const onnx = exported(1, { model: modelConfigToJson(tinyConfig), clips: "1" });
  const takes = (...others: readonly OnnxValue[]) =>
    onnxPredictor({ onnx: { ...onnx, inputs: others }, file: "tiny.onnx", beside, runtime });
  const [frames, logMel] = onnx.inputs;
  assert.ok(frames && logMel);
  for (const inputs of [
    [frames, { name: "sound", dtype: "f32", shape: [1, 80_000] }],
    [frames, { name: "embedding", dtype: "f32", shape: [5, 128] }],
    [{ name: "frames", dtype: "f32", shape: [5, 3, 64, 64] }, logMel],
  ] as const) {
    await assert.rejects(takes(...inputs), /CheckpointError: .*expected the inputs frames u8 and logMel f32/);
  }
  for (const clips of ["0", "-1", "x", "2.5", "1e400", "3", ""]) {
    const foreign = { ...onnx, metadata: { ...onnx.metadata, clips } };
    await assert.rejects(
      onnxPredictor({ onnx: foreign, file: "tiny.onnx", beside, runtime }),
      /CheckpointError: tiny\.onnx: its metadata say ".*" clips of 5 frames of 64 x 64 pixels, but its input is/,
    );
  }
  const outside = { ...onnx, weightFiles: ["../weights"] };
  await assert.rejects(onnxPredictor({ onnx: outside, file: "tiny.onnx", beside, runtime }), /outside/);
});
