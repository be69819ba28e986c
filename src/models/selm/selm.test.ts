import assert from "node:assert/strict";
import test, { after } from "node:test";
import { evaluate, inputLike } from "../../../test/graphs.js";
import { assertClose, seededInput, seededParameter } from "../../../test/support.js";
import { wasmRuntime } from "../../../test/wasm.js";
import { assertPublishedKeys, classesThatDiffer, zooReference } from "../../../test/zoo.js";
import { constant, emitOnnx, gradients, sum, type Value } from "../../graph/index.js";
import { Pass, Scope } from "../../nn/index.js";
import { asF32, full, sizeOf, type Tensor } from "../../tensor.js";
import { pvtV2Config } from "../pvt-v2.js";
import { fusionBlock } from "./fusion.js";
import { bidirectionalGates, temporalEncoder } from "./gates.js";
import { buildSelm, type SelmConfig, type SelmSettings, selmProblem, selmSchema } from "./selm.js";

const seventyOne = Array.from({ length: 71 }, (_, i) => `class ${i}`);

/** A published variant with PVTv2-B5. */
function published(task: SelmConfig["task"], changes: Partial<SelmConfig> = {}): SelmConfig {
  const semantic = { classes: seventyOne, frameCount: 10, imageSize: 224 };
  return selmSchema.parse({
    kind: "selm",
    task,
    visual: pvtV2Config("pvt-v2-b5"),
    audio: {},
    selm: { enlargements: task === "s4" ? 1 : 2 },
    ...(task === "avss" ? semantic : { classes: ["sounding object"], frameCount: 5, imageSize: 448 }),
    ...changes,
  });
}

/** A small model on 64x64 frames. */
function small(selm: Partial<SelmSettings> = {}, changes: Partial<SelmConfig> = {}): SelmConfig {
  return selmSchema.parse({
    kind: "selm",
    task: "ms3",
    classes: ["sounding object"],
    frameCount: 5,
    imageSize: 64,
    visual: pvtV2Config("pvt-v2-b0", {
      dims: [16, 32, 40, 64],
      depths: [1, 1, 1, 1],
      mlpRatios: [4, 4, 4, 4],
      dropPath: 0,
    }),
    audio: { widths: [4, 4, 4, 4, 4, 4], hidden: 8 },
    selm: { maskSize: 24, width: 32, groups: 4, enlargements: 2, ...selm },
    ...changes,
  });
}

/** Ten seconds of three classes. */
const padded: Partial<SelmConfig> = { task: "avss", classes: ["background", "dog", "piano"], frameCount: 10 };

const ten = {
  frames: seededInput("frames", [10, 3, 64, 64], 2),
  embedding: seededInput("embedding", [10, 128]),
  frameMask: { dtype: "f32", shape: [10], data: Float32Array.of(1, 1, 1, 1, 1, 1, 1, 0, 0, 0) },
} satisfies Record<string, Tensor>;
const inputs = {
  frames: constant(ten.frames),
  embedding: constant(ten.embedding),
  frameMask: constant(ten.frameMask),
};

/** The first `count` frames of a tensor. */
function firstFrames(tensor: Tensor | undefined, count: number): Tensor {
  const { shape, data } = asF32(tensor ?? assert.fail("no tensor"), "frames");
  const rest = shape.slice(1);
  return { dtype: "f32", shape: [count, ...rest], data: data.slice(0, count * sizeOf(rest)) };
}

const f32 = (tensor: Tensor | undefined) => asF32(tensor ?? assert.fail("no tensor"), "tensor").data;

test("state dicts have the published keys and shapes", async () => {
  for (const task of ["s4", "ms3", "avss"] as const) {
    // VGGish is a file of its own in this system.
    const file = buildSelm(published(task)).specs.filter(({ key }) => !key.startsWith("vggish."));
    const prefixes = { "visual_encoder.": "encoder_backbone." };
    await assertPublishedKeys(file, { system: "selm", name: `${task}_pvt`, prefixes });
  }
  const { specs } = buildSelm(published("s4", { visual: { kind: "resnet50", freezeBatchNorm: false } }));
  const keys = new Set(specs.map(({ key }) => key));
  for (const key of [
    "resnet.layer4_1.2.conv3.weight",
    "DAM_Fusion4.gate.0.weight",
    "BCSM.vis_linear.3.bias",
  ]) {
    assert.ok(keys.has(key), key);
  }
});

for (const task of ["s4", "avss"] as const) {
  const name = `${task}_pvt`;
  test(`${name}: logits, stages, gates, tokens and choices of the published code`, async (t) => {
    const reference = await zooReference("selm");
    const config = published(task);
    const { frameCount, imageSize } = config;
    const frameMask = full([frameCount], 1);
    frameMask.data.fill(0, 5);
    const feeds = {
      frames: seededInput(`${name}_frames`, [frameCount, 3, imageSize, imageSize], 2),
      embedding: seededInput(`${name}_audio`, [frameCount, 128]),
      ...(task === "avss" && { frameMask }),
    };
    const model = buildSelm(config);
    const { logits, stages, gated, levels } = model.trace(
      {
        frames: inputLike("frames", feeds.frames),
        embedding: inputLike("embedding", feeds.embedding),
        ...(feeds.frameMask && { frameMask: inputLike("frameMask", feeds.frameMask) }),
      },
      new Pass(),
    );
    const numbered = (of: string, values: readonly Value[], suffix = "") =>
      values.map((value, i): [string, Value] => [`${of}${i + 1}${suffix}`, value]);
    const found = await evaluate(
      {
        logits,
        bidirectional_audio: gated.audio,
        ...Object.fromEntries([
          ...numbered(
            "stage",
            stages.map((stage) => stage.map),
          ),
          ...numbered(
            "stage",
            stages.map((stage) => stage.audio),
            "_audio",
          ),
          ...numbered("bidirectional", gated.maps),
          ...numbered(
            "fused",
            levels.map((level) => level.map),
          ),
          ...numbered(
            "tokens",
            levels.map((level) => level.tokens),
          ),
          ...numbered(
            "map",
            levels.map((level) => level.second),
            "_second_token",
          ),
        ]),
      },
      feeds,
    );
    for (const key of reference.keys(name)) {
      const output = key.slice(name.length + 1).replace(/_(first2_)?every_.*$/, "");
      if (/^encoder_|_change_/.test(output)) continue; // the next test's
      if (output === "argmax") {
        const different = classesThatDiffer(found.logits ?? assert.fail(), reference.tensor(key), [1, 4, 4]);
        t.diagnostic(`${different} pixels have another class`);
        assert.ok(different <= 10, `${different} pixels have another class`);
        continue;
      }
      const value = found[output] ?? assert.fail(output);
      if (output.endsWith("_second_token")) {
        const side = Math.sqrt(value.data.length / frameCount);
        reference.assertClose({ ...value, shape: [frameCount, side, side] }, key);
      } else {
        reference.assertClose(key.includes("_first2_") ? firstFrames(value, 2) : value, key);
      }
    }
  });
}

test("a fusion block adds the published vector, and a stack of state-space layers gives the published sequence", async () => {
  const reference = await zooReference("selm");
  const outputs: Record<string, Value> = {};
  for (const [i, channels] of [64, 128, 320, 512].entries()) {
    const fuse = fusionBlock(new Scope("encoder_backbone").at(`DAM_Fusion${i + 1}`), {
      channels,
      width: 256,
    });
    const [audio, tokens] = [constant(full([1, 1, 256])), constant(full([1, 1, channels]))];
    outputs[`stage${i + 1}`] = fuse({ audio, tokens }, new Pass()).tokens;
  }
  const stack = temporalEncoder(new Scope("tem_att").at("video_encoder").at(0), 256);
  const found = await evaluate(outputs, {});
  for (const name of ["s4_pvt", "avss_pvt"]) {
    const x = constant(reference.tensor(`${name}:encoder_in`));
    reference.assertClose((await evaluate({ y: stack(x) }, {})).y, `${name}:encoder_out`);
    for (const [stage, { data }] of Object.entries(found)) {
      const expected = asF32(reference.tensor(`${name}:${stage}_change_at_position_0`), stage);
      for (let at = 0; at < expected.data.length; at += data.length) {
        // Differences of large numbers in single precision, except of S4: hence the tolerance.
        assertClose(f32(found[stage]), expected.data.subarray(at, at + data.length), 1e-3, stage);
      }
    }
  }
});

test("the fused form gives what the published order gives", async () => {
  const forms: Record<string, SelmConfig> = {
    binary: small(),
    "masks of the map's size": small({ enlargements: 1, maskSize: 32 }),
    "padded clips": small({}, padded),
  };
  for (const [form, config] of Object.entries(forms)) {
    const model = buildSelm(config);
    const outputs = (fused: boolean) => {
      const { logits, gated, levels } = model.trace(inputs, new Pass({ fused }));
      const tokens = levels.map((level, i) => [`tokens ${i}`, level.tokens]);
      return { logits, audio: gated.audio, ...Object.fromEntries(tokens) };
    };
    const [short, long] = [await evaluate(outputs(true), {}), await evaluate(outputs(false), {})];
    for (const key of Object.keys(short))
      assertClose(f32(short[key]), f32(long[key]), 1e-4, `${form}: ${key}`);
  }
});

test("clips do not meet, frames of a clip do, and decoding some frames gives their logits", async () => {
  const model = buildSelm(small());
  const both = model.forward(inputs, new Pass()).logits;
  const some = model.forward({ ...inputs, decodeEvery: 5 }, new Pass()).logits;
  const clip = (frames: Tensor) =>
    model.forward(
      { frames: constant(frames), embedding: constant(firstFrames(ten.embedding, 5)) },
      new Pass(),
    ).logits;
  const first = firstFrames(ten.frames, 5);
  const changed = { ...asF32(first, "frames"), data: f32(first).slice() };
  changed.data.fill(0, 0, changed.data.length / 5);
  const found = await evaluate({ both, some, first: clip(first), changed: clip(changed) }, {});
  const half = f32(found.both).subarray(0, 5 * 24 * 24);
  assertClose(f32(found.first), half, 1e-5, "first clip");
  const size = 24 * 24;
  const joined = [0, 5].flatMap((frame) => [...f32(found.both).subarray(frame * size, (frame + 1) * size)]);
  assertClose(f32(found.some), joined, 1e-5, "first frames of both clips");
  const last = (tensor: Tensor | undefined) => f32(tensor).slice(4 * size);
  assert.notDeepEqual(last(found.changed), last(found.first));
});

test("state-space layers see earlier frames, not later ones", async () => {
  const gate = bidirectionalGates(new Scope(), 1, 32);
  const audio = constant(seededInput("audio", [6, 32]));
  const map = seededInput("map", [6, 32, 2, 2]);
  const changed = { ...map, data: map.data.slice() };
  changed.data.fill(0, 4 * 128, 5 * 128); // frame 4
  const outputs = [map, changed].map((maps) => gate({ maps: [constant(maps)], audio }, 6).audio);
  const found = await evaluate({ a: outputs[0] ?? assert.fail(), b: outputs[1] ?? assert.fail() }, {});
  const frame = (tensor: Tensor | undefined, i: number) => f32(tensor).slice(i * 32, (i + 1) * 32);
  for (let i = 0; i < 4; i++) assertClose(frame(found.a, i), frame(found.b, i), 1e-6, `frame ${i}`);
  for (const i of [4, 5]) assert.notDeepEqual(frame(found.a, i), frame(found.b, i));
});

test("gradients reach what has an effect", async () => {
  const model = buildSelm(small());
  const loss = sum(model.forward(inputs, new Pass({ training: true })).logits);
  const trained = [
    "encoder_backbone.patch_embed1.proj.weight",
    "encoder_backbone.DAM_Fusion2.gate.0.weight",
    "encoder_backbone.DAM_Fusion2.fusion.audio_visual_att.align_audio.f_key.0.weight",
    "tem_att.audio_encoder.3.layers.0.mamba_block.A_log",
    "decoder.cgattention1.v_proj.weight",
    "decoder.tokens.weight",
    "audio_proj.weight",
  ];
  const wanted = trained.map((key) => model.values.get(key) ?? assert.fail(key));
  const results = gradients([{ y: loss }], wanted);
  const found = await evaluate(Object.fromEntries(results.map((value, i) => [`gradient ${i}`, value])), {});
  for (const [i, key] of trained.entries()) {
    const data = f32(found[`gradient ${i}`]);
    assert.ok(data.every(Number.isFinite) && data.some((x) => x !== 0), key);
  }
});

const wasm = wasmRuntime();
after(() => wasm.close());

test("WASM finds the same logits", async () => {
  const { logits } = buildSelm(small()).forward(inputs, new Pass());
  const { logits: here } = await evaluate({ logits }, {});
  const graph = emitOnnx({ logits });
  const weights = new Map(graph.parameters.map((p) => [p.name, seededParameter(p.name, p.shape)]));
  const session = await wasm.createSession({ graph, weights });
  const { logits: there } = await session.run({});
  assertClose(f32(there), f32(here), 1e-5, "logits");
});

test("impossible models are refused", () => {
  const message = (selm: Partial<SelmSettings>) => selmProblem(small(selm))?.message;
  assert.equal(message({}), undefined);
  assert.equal(message({ groups: 5 }), "32 is not a multiple of 5 groups");
  assert.equal(message({ width: 40 }), "40 is not a multiple of 16, as state-space layers need");
});
