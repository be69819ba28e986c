/** Exported files, loaded as any other program would load them. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after } from "node:test";
import * as ort from "onnxruntime-node";
import { assertClose, logMelOf } from "../../test/support.js";
import { tempDir } from "../../test/temp-dir.js";
import { seededBatch, seededWeights, tinyAvss, tinyS4 } from "../../test/tiny-models.js";
import { LockedError, OutputError } from "../errors.js";
import { readOnnx } from "../graph/onnx/read.js";
import { openPredictor } from "../inference/node/open-predictor.js";
import type { ClipBatch } from "../inference/predictor.js";
import { type AvsModelConfig, modelConfigFromJson, modelConfigToJson } from "../models/model-config.js";
import { writeSafetensors } from "../weights/node/safetensors-file.js";
import { exportModel, modelPieces } from "./export-model.js";
import type { StoredGraph } from "./stored-graph.js";

const dir = await tempDir({ after });

async function checkpointOf(config: AvsModelConfig): Promise<string> {
  const file = path.join(dir, `${config.task}.safetensors`);
  const metadata = { format: "avseg-checkpoint-1", model: modelConfigToJson(config) };
  await writeSafetensors(file, seededWeights(config), { metadata });
  return file;
}

/** Runs a file in ONNX Runtime as it comes. */
async function runStock(file: string, batch: ClipBatch): Promise<Record<string, ort.Tensor>> {
  const { frames, frameMask } = batch;
  const logMel = logMelOf(batch);
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 3 });
  const all: Record<string, ort.Tensor> = {
    frames: new ort.Tensor("uint8", frames.data, frames.shape),
    logMel: new ort.Tensor("float32", logMel.data, logMel.shape),
    frameMask: new ort.Tensor("float32", frameMask.data, frameMask.shape),
  };
  const feeds = session.inputNames.map((name): [string, ort.Tensor] => [
    name,
    all[name] ?? assert.fail(name),
  ]);
  const outputs = await session.run(Object.fromEntries(feeds));
  await session.release();
  return outputs;
}

const floats = (t: ort.Tensor | undefined) =>
  t?.data instanceof Float32Array ? t.data : assert.fail("no floats");

for (const config of [tinyS4, tinyAvss]) {
  for (const externalData of [false, true]) {
    const where = externalData ? "with its weights beside it" : "in one file";
    test(`${config.task} ${where}: stock ONNX Runtime gives the predictor's logits`, async () => {
      const checkpoint = await checkpointOf(config);
      const out = path.join(dir, `${config.task}-${externalData}`, "model.onnx");
      const { files } = await exportModel({ checkpoint, out, externalData });
      assert.deepEqual(
        files.map((f) => path.basename(f.path)),
        externalData ? ["model.onnx", "model.onnx.data"] : ["model.onnx"],
      );
      for (const { path: file, bytes } of files) assert.equal((await readFile(file)).length, bytes);

      const batch = seededBatch(config, { logMelScale: 3 });
      const predictor = await openPredictor({ checkpoint, runtime: { threads: 1 } });
      const expected = await predictor.predict(batch);
      await predictor.close();
      const { logits, probabilities } = await runStock(out, batch);
      assert.deepEqual(logits?.dims, expected.shape);
      assertClose(floats(logits), expected.data, 1e-5, "logits");
      const p = floats(probabilities);
      if (config.task === "s4") {
        assertClose(
          p,
          expected.data.map((x) => 1 / (1 + Math.exp(-x))),
          1e-5,
          "probabilities",
        );
      } else {
        const plane = config.imageSize ** 2;
        const sum = config.classes.reduce((n, _, k) => n + (p[k * plane] ?? 0), 0);
        assert.ok(Math.abs(sum - 1) < 1e-5, `probabilities of a pixel sum to ${sum}`);
      }
    });
  }
}

test("the file says what it is: names, shapes, documentation, metadata", async () => {
  const checkpoint = await checkpointOf(tinyAvss);
  const out = path.join(dir, "described.onnx");
  const form = { audio: "pcm" } as const;
  const { metadata } = await exportModel({ checkpoint, out, form, precision: "int8" });
  const bytes = new Uint8Array(await readFile(out));
  const model = readOnnx(bytes, out);
  assert.deepEqual(model.inputs, [
    { name: "frames", dtype: "u8", shape: [10, 64, 64, 3] },
    { name: "sound", dtype: "f32", shape: [1, 160_000] },
    { name: "frameMask", dtype: "f32", shape: [10] },
  ]);
  assert.deepEqual({ ...model.metadata }, { ...metadata });
  assert.deepEqual(JSON.parse(metadata.classes ?? ""), ["background", "bell", "drum"]);
  assert.deepEqual(modelConfigFromJson(metadata.model ?? "", out), tinyAvss);
  const { checkpoint: source } = JSON.parse(metadata.sources ?? "");
  assert.equal(source.file, "avss.safetensors");
  assert.match(source.sha256, /^[0-9a-f]{64}$/);
  const text = new TextDecoder("latin1").decode(bytes);
  assert.ok(text.includes("16 kHz mono samples in [-1,1] of each clip, 10 seconds"));
  assert.ok(!text.includes(dir), "no path of this machine");
});

test("nothing half-written: an unwritable place, an interruption", async () => {
  const checkpoint = await checkpointOf(tinyS4);
  const file = path.join(dir, "a-file");
  await writeFile(file, "");
  await assert.rejects(exportModel({ checkpoint, out: path.join(file, "model.onnx") }), OutputError);
  const empty = path.join(dir, "interrupted");
  const controller = new AbortController();
  const started = exportModel({
    checkpoint,
    out: path.join(empty, "model.onnx"),
    externalData: true,
    signal: controller.signal,
    onProgress: ({ stage }) => {
      if (stage === "writing") controller.abort();
    },
  });
  await assert.rejects(started, { name: "AbortError" });
  assert.ok(!existsSync(empty), "the folder that it made is gone too");

  // A model and its weights are of one export, whenever the next one stops.
  const out = path.join(dir, "pair", "model.onnx");
  const pair = () => Promise.all([readFile(out), readFile(`${out}.data`)]);
  const { files } = await exportModel({ checkpoint, out, externalData: true });
  const before = await pair();
  const late = new AbortController();
  const stopped = exportModel({
    checkpoint: await checkpointOf(tinyAvss),
    out,
    externalData: true,
    signal: late.signal,
    onProgress: ({ stage, done, total }) => {
      if (stage === "writing" && done === total) late.abort();
    },
  });
  await assert.rejects(stopped, { name: "AbortError" });
  assert.deepEqual(await pair(), before);
  assert.deepEqual(await readdir(path.dirname(out)), files.map((f) => path.basename(f.path)).sort());

  await mkdir(path.join(empty, "folder.onnx"), { recursive: true });
  const overFolder = exportModel({ checkpoint, out: path.join(empty, "folder.onnx"), externalData: true });
  await assert.rejects(overFolder, /cannot write .*folder\.onnx: the path is a folder/);
  assert.deepEqual(await readdir(empty), ["folder.onnx"]);

  const refused = exportModel({
    checkpoint,
    out: path.join(empty, "model.onnx"),
    onModel: () => Promise.reject(new Error("no such data")),
  });
  await assert.rejects(refused, /no such data/);
  assert.deepEqual(await readdir(empty), ["folder.onnx"]);
});

test("two exports to one file at a time: the second is refused, to another file it is not", async () => {
  const checkpoint = await checkpointOf(tinyS4);
  const out = path.join(dir, "busy", "model.onnx");
  const second: Promise<unknown>[] = [];
  await exportModel({
    checkpoint,
    out,
    onModel: async () => {
      second.push(exportModel({ checkpoint, out: path.join(dir, "busy", "other.onnx") }));
      await assert.rejects(exportModel({ checkpoint, out }), (error: unknown) => {
        assert.ok(error instanceof LockedError);
        assert.match(error.message, /model\.onnx: in use by avseg export \(process \d+ on /);
        return true;
      });
    },
  });
  await Promise.all(second);
  assert.deepEqual((await readdir(path.dirname(out))).sort(), ["model.onnx", "other.onnx"]);
});

test("a model beyond 2 GiB is refused with what to do; other failures stay what they are", () => {
  const data = new Float32Array(2 ** 29); // 2 GiB that nothing ever touches
  const shape = [data.length];
  const stored: StoredGraph = {
    graph: {
      nodes: [{ op: "Identity", domain: "", inputs: ["w"], outputs: ["y"], attributes: {} }],
      inputs: [],
      outputs: [{ name: "y", dtype: "f32", shape }],
      constants: new Map(),
      parameters: [{ name: "w", dtype: "f32", shape }],
      shapes: new Map(),
    },
    weights: new Map([["w", { shape, data }]]),
  };
  assert.throws(
    () => modelPieces(stored, { parameter: () => ({ bytes: data }) }, "large.onnx"),
    (error) => {
      assert.ok(error instanceof OutputError);
      assert.equal(error.message, "cannot write large.onnx: one ONNX file holds 2 GiB at most");
      assert.equal(error.hint, "Put the weights beside it with --external-data.");
      return true;
    },
  );
  const other = new RangeError("Array buffer allocation failed");
  const failing = () => {
    throw other;
  };
  assert.throws(
    () => modelPieces(stored, { parameter: failing }, "large.onnx"),
    (error) => error === other,
  );
});
