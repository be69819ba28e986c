/** Exported graphs against the plain form of the model: no rewrites, nothing merged, the published formulas. */

import assert from "node:assert/strict";
import test, { after } from "node:test";
import { relativeError, seededInput, seededUniform } from "../../test/support.js";
import {
  seededWeights,
  tinyAvsegformer,
  tinyAvss,
  tinyResNet,
  tinyS4,
  tinyTpavi,
} from "../../test/tiny-models.js";
import { CheckpointError } from "../errors.js";
import { emitOnnx } from "../graph/index.js";
import { buildAvsModel } from "../models/avs-model.js";
import type { AvsModelConfig } from "../models/model-config.js";
import { pvtV2Config } from "../models/pvt-v2.js";
import { Pass } from "../nn/index.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import type { Tensors } from "../runtime/runtime.js";
import type { Tensor } from "../tensor.js";
import { foldedGraph, foldWeights } from "./fold-weights.js";
import { type ExportForm, exportOutputs } from "./form.js";
import { maxInt8Weight } from "./int8-weights.js";
import { type Precision, prepareExport } from "./prepare.js";
import type { StoredGraph } from "./stored-graph.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());

const tiny = { tinyS4, tinyAvss, tinyResNet, tinyTpavi, tinyAvsegformer };
const weightBytes = ({ weights }: StoredGraph) =>
  [...weights.values()].reduce((n, { data }) => n + data.byteLength, 0);
const plainForm: ExportForm = { clips: 1, frames: "u8", audio: "log-mel" };

function feedsOf(config: AvsModelConfig, { clips }: ExportForm): Tensors {
  const { frameCount, imageSize } = config;
  const n = clips * frameCount;
  const frameMask = new Float32Array(n).fill(1);
  frameMask[n - 1] = 0;
  const pixels = seededUniform("frames", n * imageSize * imageSize * 3);
  return {
    frames: {
      dtype: "u8",
      shape: [n, imageSize, imageSize, 3],
      data: Uint8Array.from(pixels, (u) => (u + 1) * 127.5),
    },
    logMel: seededInput("mel", [n, 1, 96, 64], 3),
    sound: seededInput("sound", [clips, 16_000 * frameCount], 0.3),
    embedding: seededInput("embedding", [n, 128]),
    frameMask: { dtype: "f32", shape: [n], data: frameMask },
  };
}

async function exported(
  config: AvsModelConfig,
  precision: Precision = "fp32",
  form = plainForm,
): Promise<StoredGraph> {
  const weights = seededWeights(config);
  return prepareExport({ model: buildAvsModel(config), weights, form, precision, runtime });
}

async function run(stored: StoredGraph, feeds: Tensors): Promise<Record<string, Float32Array>> {
  const session = await runtime.createSession({ ...stored, name: "exported" });
  const results = await session.run(feeds);
  await session.close();
  const floats = (t: Tensor | undefined) => (t?.dtype === "f32" ? t.data : assert.fail("no f32"));
  return { logits: floats(results.logits), probabilities: floats(results.probabilities) };
}

async function plain(config: AvsModelConfig, form = plainForm): Promise<Record<string, Float32Array>> {
  const outputs = exportOutputs(buildAvsModel(config), form, new Pass({ fused: false }));
  return run({ graph: emitOnnx(outputs), weights: seededWeights(config) }, feedsOf(config, form));
}

const worstOf = async (config: AvsModelConfig, precision: Precision, form = plainForm) => {
  const [found, expected] = [
    await run(await exported(config, precision, form), feedsOf(config, form)),
    await plain(config, form),
  ];
  return Math.max(
    relativeError(found.logits ?? [], expected.logits ?? []),
    relativeError(found.probabilities ?? [], expected.probabilities ?? []),
  );
};

for (const [name, config] of Object.entries(tiny)) {
  test(`${name}: all rewrites and merged weights together give the plain form's logits`, async () => {
    const worst = await worstOf(config, "fp32");
    assert.ok(worst < 1e-5, `relative error ${worst}`);
  });
}

for (const [name, config] of Object.entries(tiny)) {
  test(`${name}: the form made for 8 bits gives the plain form's logits before it is quantized`, async () => {
    const outputs = exportOutputs(buildAvsModel(config), plainForm, new Pass({ preferMatmul: true }));
    const folded = await foldWeights(outputs, { weights: seededWeights(config), runtime });
    const found = await run(foldedGraph(outputs, folded), feedsOf(config, plainForm));
    const worst = relativeError(found.logits ?? [], (await plain(config)).logits ?? []);
    assert.ok(worst < 1e-5, `relative error ${worst}`);
  });
}

test("every form of the inputs, and several clips", async () => {
  for (const audio of ["pcm", "embedding"] as const) {
    const worst = await worstOf(tinyS4, "fp32", { clips: 2, frames: "u8", audio });
    assert.ok(worst < 1e-5, `${audio}: relative error ${worst}`);
  }
  const { graph } = await exported(tinyS4, "fp32", { clips: 2, frames: "f32", audio: "embedding" });
  assert.deepEqual(
    graph.inputs.map(({ name, dtype, shape }) => `${name} ${dtype} ${shape}`),
    ["frames f32 10,3,64,64", "embedding f32 10,128"],
  );
});

test("only stock operators; weights are merged ahead of time and keep their keys", async () => {
  for (const [config, precision] of [
    [tinyS4, "fp32"],
    [tinyS4, "int8"],
    [tinyResNet, "int8"],
  ] as const) {
    const { graph, weights } = await exported(config, precision);
    assert.deepEqual([...new Set(graph.nodes.map((n) => n.domain))], [""]);
    const keys = [...weights.keys()];
    assert.ok(!keys.some((key) => key.includes("lora")), "adapters are merged");
    if (precision === "fp32") {
      const attention = keys.filter((key) => key.startsWith("decoder.fusion_block_0.spatial_attn."));
      assert.equal(
        attention.length,
        8,
        "weight and bias of q, of kv after its merger, of the output, of the norm",
      );
      assert.ok(keys.includes("decoder.layer_1.weight"));
    }
    const outputs = graph.nodes.flatMap((n) => n.outputs);
    const produced = new Set(outputs);
    assert.equal(produced.size, outputs.length, "every value is made once");
    const known = new Set([...weights.keys(), ...graph.constants.keys(), ...graph.inputs.map((i) => i.name)]);
    const unknown = graph.nodes
      .flatMap((n) => n.inputs)
      .filter((x) => x !== "" && !produced.has(x) && !known.has(x));
    assert.deepEqual(unknown, []);
    // Nothing is left that the weights alone decide, but transposes, which are how stock products spell theirs.
    const fixed = graph.nodes.filter((n) => n.inputs.every((x) => weights.has(x) || graph.constants.has(x)));
    assert.deepEqual([...new Set(fixed.map((n) => n.op))], ["Transpose"]);
  }
});

test("half-precision weights: half the bytes, logits that hardly move", async () => {
  const [full, half] = [await exported(tinyS4), await exported(tinyS4, "fp16-weights")];
  assert.equal(weightBytes(half) * 2, weightBytes(full));
  const worst = await worstOf(tinyS4, "fp16-weights");
  assert.ok(worst > 0 && worst < 5e-3, `relative error ${worst}`);
});

test("a weight beyond the range of halves is named", async () => {
  const weights = seededWeights(tinyS4);
  const key = "decoder.layer_1.weight";
  const tensor = weights.get(key) ?? assert.fail();
  const data = new Float32Array(tensor.data.length).fill(1e6);
  weights.set(key, { dtype: "f32", shape: tensor.shape, data });
  const options = { model: buildAvsModel(tinyS4), weights, form: plainForm, runtime } as const;
  await assert.rejects(prepareExport({ ...options, precision: "fp16-weights" }), (error) => {
    assert.ok(error instanceof CheckpointError);
    assert.match(error.message, /^decoder\.layer_1\.weight: the value 1000000 is too large/);
    return true;
  });
});

test("8 bits: encoders and decoder, not the Messenger Blocks; masks hardly change", async () => {
  // Some layers with enough weights to be quantized.
  const wide = {
    ...tinyS4,
    visual: pvtV2Config("pvt-v2-b0", { dims: [16, 32, 40, 320], depths: [1, 1, 1, 1] }),
    audio: { ...tinyS4.audio, hidden: 512 },
    decoder: { ...tinyS4.decoder, convDim: 128 },
  };
  const stored = await exported(wide, "int8");
  const quantized = stored.graph.parameters.flatMap(({ name, dtype }) => (dtype === "i8" ? [name] : []));
  const count = (pattern: RegExp) => quantized.filter((name) => pattern.test(name)).length;
  assert.equal(count(/^visual_encoder.*attn/), 3, "q, kv and proj of the widest stage");
  assert.equal(count(/^visual_encoder.*mlp/), 2, "and its feed-forward layer");
  assert.equal(
    count(/^visual_encoder.*patch_embed/),
    0,
    "not its patch embedding, as many weights as it has",
  );
  assert.equal(count(/^audio_encoder/), 1, "the largest of the last three layers");
  assert.equal(count(/^decoder\.layer_[12]/), 2, "the 3x3 convolutions of the finer stages");
  assert.equal(count(/^decoder\.(layer_[34]|adapter)/), 0, "not those of the coarser ones");
  assert.equal(count(/^bridger/), 0);
  for (const name of quantized) {
    const { data } = stored.weights.get(name) ?? assert.fail(name);
    assert.ok(data instanceof Int8Array && data.every((value) => Math.abs(value) <= maxInt8Weight), name);
  }

  const found = await run(stored, feedsOf(wide, plainForm));
  const expected = await plain(wide);
  const logits = found.logits ?? [];
  const flipped = (expected.logits ?? new Float32Array()).filter((x, i) => x > 0 !== (logits[i] ?? 0) > 0);
  const worst = relativeError(logits, expected.logits ?? []);
  assert.ok(worst > 0 && worst < 0.1, `relative error ${worst}`);
  assert.ok(flipped.length < 0.02 * logits.length, `${flipped.length} of ${logits.length} pixels flipped`);
});
