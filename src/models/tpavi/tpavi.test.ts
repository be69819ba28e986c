import assert from "node:assert/strict";
import test, { after } from "node:test";
import { evaluate, inputLike } from "../../../test/graphs.js";
import { assertClose, seededInput, seededParameter } from "../../../test/support.js";
import { wasmRuntime } from "../../../test/wasm.js";
import { assertPublishedKeys, classesThatDiffer, zooClip, zooReference } from "../../../test/zoo.js";
import { constant, emitOnnx } from "../../graph/index.js";
import { Pass } from "../../nn/index.js";
import { buildAvsModel } from "../avs-model.js";
import { publishedModel } from "../model-config.js";
import { pvtV2Config } from "../pvt-v2.js";
import { type TpaviConfig, type TpaviSettings, tpaviSchema } from "./tpavi.js";

const seventyOne = Array.from({ length: 71 }, (_, i) => `class ${i}`);

/** A published variant: `s4_pvt2` and its like. */
function published(name: string, tpavi: Partial<TpaviSettings> = {}): TpaviConfig {
  const avss = name.startsWith("avss");
  const { task, classes, frameCount, visual, audio } = publishedModel({
    task: avss ? "avss" : "s4",
    visual: name.endsWith("res50") ? { kind: "resnet50", freezeBatchNorm: false } : pvtV2Config("pvt-v2-b5"),
    ...(avss && { classes: seventyOne }),
  });
  return tpaviSchema.parse({ kind: "tpavi", task, classes, frameCount, visual, audio, tpavi });
}

/** A small model on 64x64 frames. */
function small(tpavi: Partial<TpaviSettings> = {}, changes: Partial<TpaviConfig> = {}): TpaviConfig {
  return tpaviSchema.parse({
    kind: "tpavi",
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
    tpavi: { channels: 16, ...tpavi },
    ...changes,
  });
}

/** Ten seconds of three classes. */
const padded: Partial<TpaviConfig> = {
  task: "avss",
  classes: ["background", "dog", "piano"],
  frameCount: 10,
};

const ten = {
  frames: constant(seededInput("frames", [10, 3, 64, 64], 2)),
  embedding: constant(seededInput("embedding", [10, 128])),
  frameMask: constant({ dtype: "f32", shape: [10], data: Float32Array.of(1, 1, 1, 1, 1, 1, 1, 0, 0, 0) }),
};

test("state dicts have the published keys and shapes", async () => {
  for (const name of ["s4_pvt2", "s4_res50", "avss_pvt2", "avss_res50"]) {
    const { specs } = buildAvsModel(published(name));
    // VGGish is a file of its own in this system.
    const file = specs.filter(({ key }) => !key.startsWith("vggish."));
    const encoder = name.endsWith("res50") ? "resnet." : "encoder_backbone.";
    await assertPublishedKeys(file, { system: "tpavi", name, prefixes: { "visual_encoder.": encoder } });
  }
});

const cases = [
  { name: "s4_pvt2", config: published("s4_pvt2") },
  { name: "s4_res50_vv", config: published("s4_res50", { attendVisual: true }) },
  { name: "avss_res50", config: published("avss_res50") },
];
for (const { name, config } of cases) {
  test(`${name}: logits, maps and audio of the published code`, async (t) => {
    const reference = await zooReference("tpavi");
    const feeds = zooClip(config.task === "avss" ? "avss" : "s4");
    const model = buildAvsModel(config);
    const { logits, matching } = model.forward(
      {
        frames: inputLike("frames", feeds.frames),
        embedding: model.embedAudio(inputLike("logMel", feeds.logMel)),
        ...(config.task === "avss" && { frameMask: inputLike("keep", feeds.keep) }),
      },
      new Pass(),
    );
    const outputs = Object.fromEntries([
      ["logits", logits],
      ...(matching?.maps ?? []).map((map, i) => [`returned_map${i + 1}`, map]),
      ...(matching?.audio ?? []).map((value, i) => [`tpavi${i + 1}_audio`, value]),
    ]);
    const found = await evaluate(outputs, feeds);
    for (const key of reference.keys(name)) {
      const output = key.slice(name.length + 1);
      if (output === "argmax") {
        const different = classesThatDiffer(found.logits ?? assert.fail(), reference.tensor(key), [1, 4, 4]);
        t.diagnostic(`${different} pixels have another class`);
        assert.ok(different <= 10, `${different} pixels have another class`);
      } else {
        const value = found[output === "logits_every_16th" ? "logits" : output];
        // The reference groups the audio by clip: `[G,T,C]`.
        const shape = output.endsWith("_audio") ? reference.tensor(key).shape : value?.shape;
        reference.assertClose(value && shape && { ...value, shape }, key);
      }
    }
  });
}

test("the product without scores gives what the published order gives, for audio and frames", async () => {
  const forms: Record<string, TpaviConfig> = {
    audio: small(),
    frames: small({ attendAudio: false, attendVisual: true }),
    both: small({ attendVisual: true }),
    "padded clips": small({}, padded),
    "some stages": small({ stages: [1, 3] }),
  };
  for (const [form, config] of Object.entries(forms)) {
    const model = buildAvsModel(config);
    const outputs = (fused: boolean) => {
      const { logits, matching } = model.forward(ten, new Pass({ fused }));
      return Object.fromEntries([
        ["logits", logits],
        ...(matching?.maps ?? []).map((map, i) => [`map ${i}`, map]),
      ]);
    };
    const [short, long] = [await evaluate(outputs(true), {}), await evaluate(outputs(false), {})];
    for (const [key, { data }] of Object.entries(short)) {
      assertClose(data as Float32Array, long[key]?.data as Float32Array, 1e-5, `${form}: ${key}`);
    }
  }
});

test("padded frames have logits of zero, and decoding some frames gives their logits", async () => {
  const model = buildAvsModel(small({}, padded));
  const { logits: all } = model.forward(ten, new Pass());
  const { logits: some } = model.forward({ ...ten, decodeEvery: 5 }, new Pass());
  const found = await evaluate({ all, some }, {});
  const size = 3 * 64 * 64;
  const frames = Array.from({ length: 10 }, (_, i) => found.all?.data.slice(i * size, (i + 1) * size));
  assert.deepEqual(
    frames.map((logits) => logits?.some((x) => x !== 0)),
    [true, true, true, true, true, true, true, false, false, false],
  );
  const joined = [frames[0], frames[5]].flatMap((logits) => [...(logits ?? [])].map(Number));
  assertClose(found.some?.data as Float32Array, joined, 1e-6, "first frames of both groups");
});

const wasm = wasmRuntime();
after(() => wasm.close());

test("WASM finds the same logits", async () => {
  const { logits } = buildAvsModel(small({ attendVisual: true })).forward(ten, new Pass());
  const { logits: here } = await evaluate({ logits }, {});
  const graph = emitOnnx({ logits });
  const weights = new Map(graph.parameters.map((p) => [p.name, seededParameter(p.name, p.shape)]));
  const session = await wasm.createSession({ graph, weights });
  const { logits: there } = await session.run({});
  assertClose(there?.data as Float32Array, here?.data as Float32Array, 1e-5, "logits");
});

test("impossible models are refused", () => {
  const refused = (config: TpaviConfig, message: RegExp) =>
    assert.throws(() => buildAvsModel(config), message);
  refused(small({}, { frameCount: 6 }), /frameCount: 6 steps are not a multiple of 5/);
  refused(small({ channels: 15 }), /tpavi\.channels: 15 is an odd number/);
  refused(small({ attendAudio: false }), /both false/);
  refused(small({}, { classes: ["a", "b"] }), /2 classes in a binary task/);
  const six = { ...ten, frames: constant(seededInput("frames", [6, 3, 64, 64], 2)) };
  assert.throws(
    () => buildAvsModel(small()).forward(six, new Pass()),
    /6 frames are not a multiple of 5 \(tpavi_b1\)/,
  );
});
