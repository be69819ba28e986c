import assert from "node:assert/strict";
import test, { after } from "node:test";
import { channelsFirst, overTime, shown } from "../../../test/denseav-maps.js";
import { evaluate, inputLike } from "../../../test/graphs.js";
import { reference } from "../../../test/reference.js";
import { assertClose, seededInput, seededParameter } from "../../../test/support.js";
import { wasmRuntime } from "../../../test/wasm.js";
import { publishedShapes } from "../../../test/zoo.js";
import {
  add,
  clip,
  constant,
  emitOnnx,
  exp,
  max,
  mean,
  mul,
  reshape,
  slice,
  sub,
  transpose,
  type Value,
} from "../../graph/index.js";
import { Pass, toMap } from "../../nn/index.js";
import { asF32, type Tensor } from "../../tensor.js";
import { alignedSteps } from "./aligners.js";
import { buildDenseavEncoders, type DenseavSettings, denseavSettingsSchema } from "./denseav.js";
import { blurred, similarity } from "./heatmap.js";
import { stepsOf } from "./hubert.js";
import { positionsOf } from "./vit.js";

/** Accuracy of parts, and of all that follows the first block of the ViT, which seeded weights make very sharp. */
const [exact, sharp] = [1e-4, 5e-3];

const published = (loraRank: number) => denseavSettingsSchema.parse({ frames: { loraRank } });

const small: DenseavSettings = denseavSettingsSchema.parse({
  width: 24,
  heads: 2,
  alignerHeads: 2,
  frames: { width: 24, depth: 2, heads: 2, side: 3, loraRank: 2 },
  sound: {
    convWidth: 8,
    width: 32,
    depth: 2,
    heads: 2,
    hidden: 48,
    positionKernel: 8,
    positionGroups: 4,
    loraRank: 2,
  },
});

const f32 = (tensor: Tensor | undefined) => asF32(tensor ?? assert.fail("no tensor"), "tensor").data;

test("state dicts have the published keys and shapes, with and without adapters", async () => {
  const others = await publishedShapes("denseav", "others");
  for (const [loraRank, frames] of [
    [8, "frames with adapters"],
    [0, "frames"],
  ] as const) {
    const { specs } = buildDenseavEncoders(published(loraRank));
    assert.deepEqual(Object.fromEntries(specs.map((s) => [s.key, [...s.shape]])), {
      ...others,
      ...(await publishedShapes("denseav", frames)),
    });
  }
});

test("sounds have the published number of steps", () => {
  const steps = [48_000, 160_000, 164_200].map(stepsOf);
  assert.deepEqual(steps, [149, 499, 512]);
  assert.deepEqual(steps.map(alignedSteps), [16, 55, 56]);
});

test("HuBERT up to its second layer: values of the published code", async () => {
  const { assertClose: close } = await reference("denseav");
  const audio = seededInput("audio", [1, 48_000], 0.5);
  const { hubert } = buildDenseavEncoders(published(8));
  const pass = new Pass();
  const outputs: Record<string, Value> = {};
  let x = reshape(inputLike("audio", audio), [1, 1, 48_000]);
  for (const [i, apply] of hubert.convolutions.entries()) {
    x = apply(x);
    outputs[`conv${i}`] = x;
  }
  x = hubert.project(x);
  outputs.projected = x;
  outputs.position_conv = hubert.positions(x);
  x = add(x, outputs.position_conv);
  for (const [i, apply] of hubert.layers.slice(0, 2).entries()) {
    x = apply(x, pass);
    outputs[`layer${i}`] = x;
  }
  const found = await evaluate(outputs, { audio });
  close(found.conv0, "hubert:conv0_every_64th", exact);
  close(found.conv1, "hubert:conv1_every_32nd", exact);
  close(found.conv6, "hubert:conv6", exact);
  for (const name of ["projected", "position_conv", "layer0", "layer1"]) {
    close(found[name], `hubert:${name}_every_4th_channel`, exact);
  }
});

test("the sound aligner: values of the published code", async () => {
  const { assertClose: close, tensor } = await reference("denseav");
  const { soundAligner, classVector } = buildDenseavEncoders(published(8));
  const steps = constant(tensor("hubert:last_hidden_state"));
  const [norm, first, second, attention] = soundAligner;
  assert.ok(norm && first && second && attention);
  const pass = new Pass();
  const pool1 = first(norm({ steps, classVector: classVector(1) }, pass), pass);
  const pool2 = second(pool1, pass);
  const last = attention(pool2, pass);
  const found = await evaluate(
    {
      pool1: channelsFirst(pool1.steps),
      pool1_cls: pool1.classVector,
      pool2: channelsFirst(pool2.steps),
      pool2_cls: pool2.classVector,
      self_attention_cls: last.classVector,
      features: channelsFirst(last.steps),
    },
    {},
  );
  const { features, ...parts } = found;
  for (const [name, value] of Object.entries(parts)) close(value, `aligned:aligner_${name}`, exact);
  close(features, "aligned:audio_feats", exact);
});

test("frames, similarities and heat maps of two shapes: values of the published code", async () => {
  const { assertClose: close, tensor } = await reference("denseav");
  const pass = new Pass();
  const { vit, encodeFrames, values } = buildDenseavEncoders(published(8));
  const frames = { ...seededInput("frames", [1, 2, 3, 224, 224], 2), shape: [2, 3, 224, 224] };
  const wide = { ...seededInput("frames_wide", [1, 1, 3, 224, 392], 2), shape: [1, 3, 224, 392] };
  const features = tensor("aligned:audio_feats"); // [1,384,1,16]
  const steps = transpose(reshape(constant(features), [1, 384, 16]), [0, 2, 1]);

  const first = slice(inputLike("frames", frames), [{ axis: 0, start: 0, end: 1 }]);
  const outputs: Record<string, Value> = { embedded: vit.embed(first) };
  let tokens = outputs.embedded ?? assert.fail();
  for (const [i, block] of vit.blocks.entries()) {
    tokens = block(tokens, pass);
    if ([0, 1, 11].includes(i)) outputs[`block${i}`] = tokens;
  }
  const grids = {
    square: encodeFrames(inputLike("frames", frames), pass),
    wide: encodeFrames(inputLike("wide", wide), pass),
  };
  for (const [name, grid] of Object.entries(grids)) {
    const similarities = similarity(grid.tokens, steps, 1); // [N,1,L,16]
    const blur = blurred(similarities);
    outputs[`${name} features`] = toMap(grid);
    outputs[`${name} similarity`] = overTime(similarities, grid);
    outputs[`${name} blurred`] = overTime(blur, grid);
    outputs[`${name} shown`] = shown(blur, grid);
    // Over rows and columns the largest, over time the mean.
    outputs[`${name} score`] = mean(max(similarities, { axes: [1, 2] }), { axes: [1] });
  }
  const score = outputs["square score"] ?? assert.fail();
  const weight = values.get("sim_cal.w") ?? assert.fail();
  const calibrated = mul(clip(exp(weight), 0.01, 100), score);
  outputs.calibrated = sub(calibrated, mean(calibrated));
  const table = [...values].find(([key]) => key.endsWith("pos_embed"))?.[1] ?? assert.fail();
  outputs.positions = positionsOf(table, { height: 28, width: 49 });

  const found = await evaluate(outputs, { frames, wide });
  close(found.embedded, "vit:embedded_every_8th_token", exact);
  close(found.positions, "vit:wide_positions_every_8th_token", exact);
  for (const i of [0, 1, 11]) close(found[`block${i}`], `vit:block${i}_every_8th_token`, sharp);
  const map = found["square features"] ?? assert.fail();
  const [count, channels, height, width] = map.shape;
  assert.deepEqual([count, channels, height, width], [2, 384, 28, 28]);
  const frame0 = { dtype: "f32", shape: [1, 384, 28, 28], data: f32(map).slice(0, 384 * 784) } as const;
  close(frame0, "aligned:image_feats_frame0", sharp);
  close(found["wide features"], "aligned:wide_image_feats_every_4th_channel", sharp);
  close(found["square similarity"], "heatmap:similarity", sharp);
  close(found["square blurred"], "heatmap:similarity_blurred", sharp);
  close(found["square shown"], "heatmap:shown_every_2nd", sharp);
  close(found["wide similarity"], "heatmap:wide_similarity", sharp);
  close(found["wide shown"], "heatmap:wide_shown_every_2nd", sharp);
  assertClose(f32(found["square score"]), f32(tensor("heatmap:clip_score")), sharp, "score");
  assertClose(f32(found.calibrated), f32(tensor("heatmap:calibrated_score")), 1e-2, "calibrated score");
});

test("frames of the form without adapters: values of the published code", async () => {
  const { assertClose: close } = await reference("denseav");
  const frames = { ...seededInput("frames", [1, 2, 3, 224, 224], 2), shape: [2, 3, 224, 224] };
  const { encodeFrames } = buildDenseavEncoders(published(0));
  const features = toMap(encodeFrames(inputLike("frames", frames), new Pass()));
  const found = await evaluate({ features }, { frames });
  close(found.features, "without_lora:image_feats_every_4th_channel", sharp);
});

/** Rounding grows in the small model's sharp attention as it does in the large one's. */
const rounding = 1e-3;

/** Features of two frames, not square, and of two sounds. */
function features(pass: Pass): Record<string, Value> {
  const model = buildDenseavEncoders(small);
  return {
    frames: model.encodeFrames(constant(seededInput("frames", [2, 3, 32, 48], 2)), pass).tokens,
    sound: model.encodeSound(constant(seededInput("waves", [2, 9000], 0.5)), pass),
  };
}

test("merged adapters give what adapters give, and sounds do not meet", async () => {
  const [merged, plain] = [
    await evaluate(features(new Pass()), {}),
    await evaluate(features(new Pass({ fused: false })), {}),
  ];
  assert.deepEqual(
    [merged.frames?.shape, merged.sound?.shape],
    [
      [2, 24, 24],
      [2, 3, 24],
    ],
  );
  for (const key of ["frames", "sound"]) assertClose(f32(merged[key]), f32(plain[key]), rounding, key);
  const first = { ...seededInput("waves", [1, 9000], 0.5) };
  const alone = buildDenseavEncoders(small).encodeSound(constant(first), new Pass());
  const found = await evaluate({ alone }, {});
  assertClose(f32(found.alone), f32(merged.sound).subarray(0, 3 * 24), 1e-5, "first sound");
});

const wasm = wasmRuntime();
after(() => wasm.close());

test("WASM finds the same features", async () => {
  const outputs = features(new Pass());
  const here = await evaluate(outputs, {});
  const graph = emitOnnx(outputs);
  const weights = new Map(graph.parameters.map((p) => [p.name, seededParameter(p.name, p.shape)]));
  const session = await wasm.createSession({ graph, weights });
  const there = await session.run({});
  for (const key of ["frames", "sound"]) assertClose(f32(there[key]), f32(here[key]), rounding, key);
});
