/** The cases of DenseAV: `sound` is the side of the sound, `frames` all that follows the frames, `plain` without adapters. */
import {
  add,
  clip,
  constant,
  div,
  exp,
  max,
  mean,
  mul,
  neg,
  reshape,
  resize,
  slice,
  sub,
  type Value,
} from "../../src/graph/index.js";
import { inferModelConfig } from "../../src/inference/infer-config.js";
import { buildDenseavEncoders, type Denseav } from "../../src/models/denseav/denseav.js";
import { blurred, similarity } from "../../src/models/denseav/heatmap.js";
import { positionsOf } from "../../src/models/denseav/vit.js";
import { Pass, type TokenGrid, toMap } from "../../src/nn/index.js";
import { f32, type Tensor } from "../../src/tensor.js";
import { channelsFirst, overTime, shown } from "../../test/denseav-maps.js";
import { seededInput } from "../../test/support.js";
import { inputOf, publishedVariants, type ZooCase } from "./cases.js";

const pass = new Pass();
/** Samples of a sound in the published evaluation, and how many of them are real. */
const evaluation = { samples: 164_200, real: 80_000, realSteps: 27, steps: 56 };

const frames = { ...seededInput("frames", [1, 2, 3, 224, 224], 2), shape: [2, 3, 224, 224] };
const wide = { ...seededInput("frames_wide", [1, 1, 3, 224, 392], 2), shape: [1, 3, 224, 392] };

async function modelOf(zoo: string, variant: string): Promise<Denseav> {
  const shapes = (await publishedVariants(zoo, "denseav")).get(variant);
  if (shapes === undefined) throw new RangeError(`denseav: no variant ${variant}`);
  const config = inferModelConfig(shapes, `denseav/${variant}`, { settings: { sim_agg_heads: 1 } });
  if (config.kind !== "denseav") throw new RangeError(`denseav: inferred as ${config.kind}`);
  return buildDenseavEncoders(config.denseav);
}

/** Builds a case. */
export async function denseavCase(zoo: string, name: string): Promise<ZooCase> {
  const model = await modelOf(zoo, name === "plain" ? "sound" : "with_adapters");
  const feeds: Record<string, Tensor> = {
    audio: seededInput("audio", [1, 48_000], 0.5),
    ...(name !== "sound" && { frames }),
    ...(name === "frames" && { wide, evaluated: evaluatedWave() }),
  };
  const input = (key: string) => inputOf(feeds, key);
  const audio = input("audio");
  if (name === "sound") {
    const outputs = soundOutputs(model, audio);
    return {
      files: ["denseav/hubert.safetensors", "denseav/aligned.safetensors"],
      feeds,
      outputs,
      tolerance: () => 1e-4,
    };
  }
  const sound = model.encodeSound(audio, pass);
  if (name === "plain") {
    const { height, width, tokens } = model.encodeFrames(input("frames"), pass);
    const outputs = {
      image_feats: toMap({ height, width, tokens }),
      similarity: overTime(similarity(tokens, sound, 1), { height, width, tokens }),
    };
    return { files: ["denseav/without_lora.safetensors"], feeds, outputs, tolerance };
  }
  const outputs = frameOutputs(model, {
    frames: input("frames"),
    wide: input("wide"),
    sound,
    evaluated: input("evaluated"),
  });
  return {
    files: ["denseav/vit.safetensors", "denseav/aligned.safetensors", "denseav/heatmap.safetensors"],
    feeds,
    outputs,
    tolerance,
  };
}

/** Seeded weights make attention very sharp, so rounding grows from the first block of the ViT on. */
function tolerance(key: string): number {
  if (/^embedded|^wide_positions|^evaluation_audio/.test(key)) return 1e-4;
  return key === "calibrated_score" ? 1e-2 : 5e-3;
}

function soundOutputs({ hubert, soundAligner, classVector }: Denseav, audio: Value): Record<string, Value> {
  const outputs: Record<string, Value> = {};
  let x = reshape(audio, [1, 1, -1]);
  for (const [i, apply] of hubert.convolutions.entries()) {
    x = apply(x);
    outputs[`conv${i}`] = x;
  }
  x = hubert.project(x);
  outputs.projected = x;
  outputs.position_conv = hubert.positions(x);
  x = add(x, outputs.position_conv);
  for (const [i, apply] of hubert.layers.entries()) {
    x = apply(x, pass);
    outputs[i === 23 ? "layer23_before_last_norm" : `layer${i}`] = x;
  }
  outputs.last_hidden_state = hubert.norm(x);
  let state = { steps: outputs.last_hidden_state, classVector: classVector(1) };
  for (const [i, name] of ["norm", "pool1", "pool2", "self_attention"].entries()) {
    const apply = soundAligner[i];
    if (apply) state = apply(state, pass);
    outputs[`aligner_${name}`] = channelsFirst(state.steps);
    outputs[`aligner_${name}_cls`] = state.classVector;
  }
  return { ...outputs, audio_feats: channelsFirst(state.steps), audio_cls: state.classVector };
}

function frameOutputs(
  { vit, values, encodeFrames, encodeSound }: Denseav,
  inputs: { readonly frames: Value; readonly wide: Value; readonly sound: Value; readonly evaluated: Value },
): Record<string, Value> {
  const first = slice(inputs.frames, [{ axis: 0, start: 0, end: 1 }]);
  const outputs: Record<string, Value> = { embedded: vit.embed(first) };
  let tokens = vit.embed(first);
  for (const [i, block] of vit.blocks.entries()) {
    tokens = block(tokens, pass);
    outputs[`block${i}`] = tokens;
  }
  outputs.normed = vit.norm(tokens);
  const wideTokens = vit.blocks.reduce((x, block) => block(x, pass), vit.embed(inputs.wide));
  outputs.wide_normed = vit.norm(wideTokens);
  const table = [...values].find(([key]) => key.endsWith("pos_embed"))?.[1];
  if (table) outputs.wide_positions = positionsOf(table, { height: 28, width: 49 });

  const square = encodeFrames(inputs.frames, pass);
  for (const [prefix, grid] of Object.entries({ "": square, wide_: encodeFrames(inputs.wide, pass) })) {
    const similarities = similarity(grid.tokens, inputs.sound, 1); // [N,1,L,T]
    outputs[`${prefix}similarity`] = overTime(similarities, grid);
    outputs[`${prefix}similarity_blurred`] = overTime(blurred(similarities), grid);
    outputs[`${prefix}shown`] = shown(blurred(similarities), grid);
    outputs[`${prefix}image_feats`] = toMap(grid);
  }
  const maps = toMap(square);
  for (const frame of [0, 1])
    outputs[`image_feats_frame${frame}`] = slice(maps, [{ axis: 0, start: frame, end: frame + 1 }]);
  const score = mean(max(similarity(square.tokens, inputs.sound, 1), { axes: [1, 2] }), { axes: [1] });
  outputs.clip_score = reshape(score, [1, 2]);
  const weight = values.get("sim_cal.w");
  if (weight) {
    const calibrated = mul(clip(exp(weight), 0.01, 100), score);
    outputs.calibrated_score = reshape(sub(calibrated, mean(calibrated)), [1, 2]);
  }
  return { ...outputs, ...evaluatedOutputs(square, encodeSound(inputs.evaluated, pass)) };
}

/** The published evaluation: the mean of the real steps, scaled over the whole result. */
function evaluatedOutputs(square: TokenGrid, sound: Value): Record<string, Value> {
  const { height, width } = square;
  const tokens = slice(square.tokens, [{ axis: 0, start: 0, end: 1 }]);
  const { realSteps, steps } = evaluation;
  const real = f32(
    Array.from({ length: steps }, (_, i) => (i < realSteps ? 1 : 0)),
    [steps],
  );
  const masked = mul(similarity(tokens, sound, 1), constant(real)); // [1,1,L,56]
  const heat = mul(mean(masked, { axes: [3] }), steps / realSteps); // [1,1,L]
  const raised = add(heat, max(neg(heat)));
  const scaled = reshape(div(raised, max(raised)), [1, 1, height, width]);
  return {
    evaluation_audio_feats: channelsFirst(sound),
    evaluation_similarity: reshape(masked, [1, height, width, steps]),
    evaluation_heatmap: reshape(resize(scaled, { mode: "bilinear", height: 224, width: 224 }), [1, 224, 224]),
  };
}

/** Zeros to the end, then mean 0 and variance 1 over all, as the published evaluation does. */
function evaluatedWave(): Tensor {
  const { samples, real } = evaluation;
  const data = new Float32Array(samples);
  data.set(seededInput("audio_eval", [real], 0.5).data);
  const average = data.reduce((a, b) => a + b, 0) / samples;
  const variance = data.reduce((a, b) => a + (b - average) ** 2, 0) / samples;
  return f32(
    data.map((x) => (x - average) / Math.sqrt(variance + 1e-7)),
    [1, samples],
  );
}
