import assert from "node:assert/strict";
import test, { after } from "node:test";
import { evaluate, inputLike } from "../../../test/graphs.js";
import { assertClose, seededInput, seededParameter } from "../../../test/support.js";
import { wasmRuntime } from "../../../test/wasm.js";
import { assertPublishedKeys, classesThatDiffer, zooClip, zooReference } from "../../../test/zoo.js";
import { constant, emitOnnx } from "../../graph/index.js";
import { initialState, Pass } from "../../nn/index.js";
import { buildAvsModel } from "../avs-model.js";
import { publishedModel } from "../model-config.js";
import { pvtV2Config } from "../pvt-v2.js";
import { type AvsegformerConfig, avsegformerSchema } from "./avsegformer.js";

const seventyOne = Array.from({ length: 71 }, (_, i) => `class ${i}`);

/** A published variant: `s4_pvt2` and its like. */
function published(name: string, changes: Partial<AvsegformerConfig> = {}): AvsegformerConfig {
  const avss = name.startsWith("avss");
  const { task, classes, frameCount, visual, audio } = publishedModel({
    task: avss ? "avss" : "s4",
    visual: name.endsWith("res50") ? { kind: "resnet50", freezeBatchNorm: false } : pvtV2Config("pvt-v2-b5"),
    ...(avss && { classes: seventyOne }),
  });
  return avsegformerSchema.parse({
    kind: "avsegformer",
    task,
    classes,
    frameCount,
    visual,
    audio,
    ...changes,
  });
}

/** A small model on 64x64 frames. */
function small(
  settings: Partial<AvsegformerConfig["avsegformer"]> = {},
  changes: Partial<AvsegformerConfig> = {},
): AvsegformerConfig {
  return avsegformerSchema.parse({
    kind: "avsegformer",
    task: "ms3",
    classes: ["sounding object"],
    frameCount: 5,
    imageSize: 64,
    visual: pvtV2Config("pvt-v2-b0", {
      dims: [16, 32, 40, 64],
      depths: [1, 1, 1, 1],
      mlpRatios: [4, 4, 4, 4],
    }),
    audio: { widths: [4, 4, 4, 4, 4, 4], hidden: 8 },
    avsegformer: {
      ...{ generatorLayers: 2, encoderLayers: 2, decoderLayers: 2 },
      ...{ width: 32, generatorHidden: 16, hidden: 24, headHidden: 20 },
      ...{ heads: 4, queries: 6, points: 2, groups: 4 },
      ...settings,
    },
    ...changes,
  });
}

/** Ten seconds of three classes. */
const padded: Partial<AvsegformerConfig> = {
  task: "avss",
  classes: ["background", "dog", "piano"],
  frameCount: 10,
};

const inputs = {
  frames: constant(seededInput("frames", [10, 3, 64, 64], 2)),
  embedding: constant(seededInput("embedding", [10, 128])),
  frameMask: constant({
    dtype: "f32",
    shape: [10],
    data: Float32Array.of(1, 1, 1, 1, 1, 1, 1, 0, 0, 0),
  }),
};

test("state dicts have the published keys and shapes", async () => {
  const prefixes = { "visual_encoder.": "backbone.", "audio_encoder.": "vggish." };
  for (const name of ["s4_pvt2", "s4_res50", "avss_pvt2", "avss_res50"]) {
    await assertPublishedKeys(buildAvsModel(published(name)).specs, {
      system: "avsegformer",
      name,
      prefixes,
    });
  }
});

const large = {
  frames: seededInput("s4512_frames", [2, 3, 512, 512], 2),
  logMel: seededInput("s4512_log_mel", [2, 1, 96, 64], 3),
  keep: seededInput("unused", [2]),
};
const cases = [
  { name: "s4_pvt2", config: published("s4_pvt2"), clip: zooClip("s4") },
  { name: "s4_pvt2_512", config: published("s4_pvt2", { imageSize: 512 }), clip: large },
  { name: "avss_res50", config: published("avss_res50"), clip: zooClip("avss") },
];
for (const { name, config, clip } of cases) {
  test(`${name}: logits and mask feature of the published code`, async (t) => {
    const reference = await zooReference("avsegformer");
    const model = buildAvsModel(config);
    const { logits, maskFeature } = model.forward(
      {
        frames: inputLike("frames", clip.frames),
        embedding: model.embedAudio(inputLike("logMel", clip.logMel)),
        ...(config.task === "avss" && { frameMask: inputLike("keep", clip.keep) }),
      },
      new Pass(),
    );
    const found = await evaluate({ logits, maskFeature: maskFeature ?? assert.fail() }, clip);
    for (const key of reference.keys(name)) {
      if (key.endsWith("argmax")) {
        const different = classesThatDiffer(found.logits ?? assert.fail(), reference.tensor(key), [1, 4, 4]);
        t.diagnostic(`${different} pixels have another class`);
        assert.ok(different <= 10, `${different} pixels have another class`);
      } else {
        reference.assertClose(key.endsWith("mask_feature") ? found.maskFeature : found.logits, key);
      }
    }
  });
}

test("the rewritten form gives what the published order gives", async () => {
  const forms: Record<string, AvsegformerConfig> = {
    "one class": small(),
    "padded clips": small({}, padded),
    "queries that start as the audio": small({ generatorLayers: 0 }),
  };
  for (const [form, config] of Object.entries(forms)) {
    const model = buildAvsModel(config);
    const outputs = (fused: boolean) => {
      const { logits, maskFeature } = model.forward(inputs, new Pass({ fused }));
      return { logits, maskFeature: maskFeature ?? assert.fail() };
    };
    const [short, long] = [await evaluate(outputs(true), {}), await evaluate(outputs(false), {})];
    for (const [key, { data }] of Object.entries(short)) {
      assertClose(data as Float32Array, long[key]?.data as Float32Array, 1e-5, `${form}: ${key}`);
    }
  }
});

test("frames do not meet: some frames, and a single one, have the same logits", async () => {
  const model = buildAvsModel(small({}, padded));
  const { logits: all } = model.forward(inputs, new Pass());
  const { logits: some } = model.forward({ ...inputs, decodeEvery: 5 }, new Pass());
  const { logits: single } = model.forward(
    {
      frames: constant({
        ...seededInput("frames", [1, 3, 64, 64], 2),
      }),
      embedding: constant(seededInput("embedding", [1, 128])),
    },
    new Pass(),
  );
  const found = await evaluate({ all, some, single }, {});
  const size = 3 * 64 * 64;
  const frames = Array.from({ length: 10 }, (_, i) =>
    Array.from<number | bigint, number>(found.all?.data.slice(i * size, (i + 1) * size) ?? [], Number),
  );
  assert.deepEqual(
    frames.map((logits) => logits.some((x) => x !== 0)),
    [true, true, true, true, true, true, true, false, false, false],
  );
  const joined = [frames[0], frames[5]].flatMap((logits) => logits ?? []);
  assertClose(found.some?.data as Float32Array, joined, 1e-5, "first frames of both clips");
  assertClose(found.single?.data as Float32Array, frames[0] ?? [], 1e-5, "a single frame");
});

test("training starts with offsets on a ring and equal weights of all points", () => {
  const { specs } = buildAvsModel(small({ heads: 8 }));
  const state = initialState(specs, 1);
  const attention = "head.transformer.encoder.layers.0.self_attn";
  const start = (name: string) => [...(state.get(`${attention}.${name}`)?.data ?? assert.fail(name))];
  assert.ok(start("sampling_offsets.weight").every((x) => x === 0));
  assert.ok(start("attention_weights.weight").every((x) => x === 0));
  const perHead = 3 * 2 * 2; // levels, points, x and y
  const offsets = start("sampling_offsets.bias").map((x) => Number(Number(x).toFixed(6)) + 0);
  assert.deepEqual(offsets.slice(0, perHead), [1, 0, 2, 0, 1, 0, 2, 0, 1, 0, 2, 0]);
  assert.deepEqual(offsets.slice(perHead, 2 * perHead), [1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2]);
  assert.deepEqual(offsets.slice(2 * perHead, 2 * perHead + 4), [0, 1, 0, 2]);
});

const wasm = wasmRuntime();
after(() => wasm.close());

test("WASM finds the same logits", async () => {
  const { logits } = buildAvsModel(small()).forward(inputs, new Pass());
  const { logits: here } = await evaluate({ logits }, {});
  const graph = emitOnnx({ logits });
  const weights = new Map(graph.parameters.map((p) => [p.name, seededParameter(p.name, p.shape)]));
  const session = await wasm.createSession({ graph, weights });
  const { logits: there } = await session.run({});
  assertClose(there?.data as Float32Array, here?.data as Float32Array, 1e-5, "logits");
});

test("impossible models are refused", () => {
  const refused = (config: AvsegformerConfig, message: RegExp) =>
    assert.throws(() => buildAvsModel(config), message);
  refused(small({ heads: 5 }), /avsegformer\.width: 32 is not a multiple of 5 heads/);
  refused(small({ groups: 5 }), /avsegformer\.width: 32 is not a multiple of 5 groups/);
  refused(small({}, { classes: ["a", "b"] }), /2 classes in a binary task/);
});
