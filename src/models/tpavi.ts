/**
 * TPAVI, the baseline of AVSBench: temporal pixel-wise audio-visual interaction (Zhou et al., "Audio-Visual
 * Segmentation", ECCV 2022, https://arxiv.org/abs/2207.05042; "Audio-Visual Segmentation with Semantics", IJCV 2024,
 * https://arxiv.org/abs/2301.13190). State-dict keys as in the published code (github.com/OpenNLPLab/AVSBench, Apache-2.0).
 * VGGish is a file of its own there; here its keys are under `vggish.`.
 *
 * N frames, five in a row are a group of T; C decoder channels, H and W those of a stage.
 */
import * as z from "zod";
import { count, expecting, flag, section } from "../fields.js";
import {
  add,
  affine,
  conv2d,
  dim,
  expand,
  matmul,
  mean,
  mul,
  relu,
  reshape,
  resize,
  shape3,
  shape4,
  slice,
  type Value,
} from "../graph/index.js";
import {
  batchNorm,
  convolution,
  layerNorm,
  linear,
  normalInit,
  type Pass,
  pointwise,
  projection,
  Scope,
  toMap,
  toTokens,
  upsampledConv,
  zeros,
} from "../nn/index.js";
import type { AvsInputs, AvsModel, AvsOutputs } from "./avs-model.js";
import {
  baseShape,
  type EncoderPrefixes,
  type InferenceHints,
  inferBase,
  type ModelConfigProblem,
  problemAt,
  type Task,
} from "./base-config.js";
import { everyFrame, realFrames } from "./frame-axis.js";
import type { StateDictShapes } from "./state-dict-shapes.js";
import { defineSystem, type Recipe } from "./system-definition.js";
import { audioWidth, vggish } from "./vggish.js";
import { encodeFrames, stageDims, type VisualConfig, visualEncoder } from "./visual-encoder.js";

/** Settings of TPAVI, with the published values as defaults. */
const tpaviSettingsSchema = section({
  /** Channels of the context modules and the decoder, an even number. */
  channels: count(4096).default(256),
  /** Stages, counted from 0, that have a block. */
  stages: expecting("a list of stages, 0 to 3", (e) =>
    z.array(z.number(e).int(e).min(0, e).max(3, e), e).max(4, e).readonly(),
  ).default([0, 1, 2, 3]),
  /** Blocks attend to the audio (`tpavi_va_flag`). */
  attendAudio: flag.default(true),
  /** Blocks attend to the frames themselves with the same weights (`tpavi_vv_flag`). */
  attendVisual: flag.default(false),
});
/** Settings of TPAVI. */
export type TpaviSettings = Readonly<z.infer<typeof tpaviSettingsSchema>>;

/** A TPAVI model; its frame count is a multiple of 5. */
export const tpaviSchema = section({
  kind: z.literal("tpavi"),
  ...baseShape,
  tpavi: tpaviSettingsSchema.prefault({}),
});
/** A TPAVI model. */
export type TpaviConfig = Readonly<z.infer<typeof tpaviSchema>>;

/** Frames that one block joins: a constant of the published code, for ten-second clips too. */
const groupSize = 5;
/** Dilation, and padding, of the four convolutions of a context module. */
const dilations = [3, 6, 12, 18] as const;
/** Channels of the head's convolutions. */
const headChannels = [128, 32] as const;

/** State-dict prefixes of the encoders. */
function encodersOf({ kind }: VisualConfig): EncoderPrefixes {
  return { visual: kind === "pvt-v2" ? "encoder_backbone" : "resnet", audio: "vggish" };
}

/** Builds a model of a possible configuration. */
function buildTpavi(config: TpaviConfig): AvsModel {
  const { visual, task, tpavi } = config;
  const { channels } = tpavi;
  const root = new Scope();
  const encoders = encodersOf(visual);
  const encoder = visualEncoder(root.at(encoders.visual), visual);
  const audioEncoder = vggish(root.at(encoders.audio), config.audio);
  const dims = stageDims(visual);
  const contexts = dims.map((inputs, i) => contextModule(root.at(`conv${i + 1}`), inputs, channels));
  const blocks = dims.map((_, i) =>
    tpavi.stages.includes(i) ? tpaviBlock(root.at(`tpavi_b${i + 1}`), task, tpavi) : undefined,
  );
  const decode = decoder(root, channels, config.classes.length);

  const forward = ({ frames, embedding, frameMask, decodeEvery = 1 }: AvsInputs, pass: Pass): AvsOutputs => {
    const mask = task === "avss" ? frameMask : undefined; // only AVSS pads clips
    const audio = realFrames(embedding, mask); // [N,128]
    const stages = encodeFrames(encoder, frames, pass).map((grid, i) => {
      const map = realFrames(contexts[i]?.(toMap(grid), pass) ?? missing(i), mask); // [N,C,H,W]
      const block = blocks[i];
      if (block === undefined) return { map: relu(map), audio: undefined };
      const joined = block(map, audio, pass);
      // The decoder rectifies its inputs in place: the loss sees the rectified maps too.
      return { map: relu(realFrames(joined.map, mask)), audio: joined.audio };
    });
    const decoded = (x: Value): Value => everyFrame(x, decodeEvery);
    const maps = stages.map(({ map }) => map);
    return {
      logits: decode(maps.map(decoded), mask && decoded(mask), pass),
      matching: { maps, audio: stages.map((stage) => stage.audio) },
    };
  };
  return {
    config,
    specs: root.specs(),
    values: root.values(),
    encoders,
    embedAudio: (logMel) => audioEncoder.embed(logMel),
    forward,
  };
}

function missing(stage: number): never {
  throw new RangeError(`tpavi: no context module of stage ${stage}`);
}

/** Checks the rules that span several keys. */
function tpaviProblem({ frameCount, tpavi }: TpaviConfig): ModelConfigProblem | undefined {
  const { channels, stages, attendAudio, attendVisual } = tpavi;
  if (frameCount % groupSize !== 0) {
    return problemAt("frameCount", `${frameCount} steps are not a multiple of ${groupSize}`);
  }
  if (channels % 2 !== 0) return problemAt("tpavi.channels", `${channels} is an odd number`);
  if (stages.length > 0 && !attendAudio && !attendVisual) {
    return problemAt("tpavi.attendAudio", "attendAudio and attendVisual are both false");
  }
  return undefined;
}

/** The model of a state dict with published keys; whether blocks attend to frames leaves no trace in it. */
function inferTpavi(shapes: StateDictShapes, hints: InferenceHints): TpaviConfig {
  const visual = shapes.has("encoder_backbone.patch_embed1.proj.weight") ? "encoder_backbone" : "resnet";
  const encoders = { visual, audio: "vggish" };
  return {
    kind: "tpavi",
    ...inferBase(shapes, { logits: shapes.size("output_conv.4.weight"), encoders }, hints),
    tpavi: tpaviSettingsSchema.parse({
      channels: shapes.size("output_conv.0.weight", 1),
      stages: [0, 1, 2, 3].filter((i) => shapes.has(`tpavi_b${i + 1}.theta.weight`)),
    }),
  };
}

/** The sum of four dilated 3x3 convolutions of one map.  `[N,I,H,W]` -> `[N,C,H,W]` */
function contextModule(scope: Scope, inputs: number, outputs: number) {
  const branches = dilations.map((dilation, i) => ({
    dilation,
    conv: convolution(scope.at("conv2d_list").at(i), {
      inputs,
      outputs,
      dilation,
      weightInit: normalInit(0.01),
    }),
  }));
  return (map: Value, pass: Pass): Value =>
    branches
      .map(({ dilation, conv }) => {
        const reaches = dilation < Math.max(dim(map, 2), dim(map, 3));
        return reaches || !pass.fused ? conv(map) : centerTap(conv.weight, conv.bias, map);
      })
      .reduce((a, b) => add(a, b));
}

/** A 3x3 convolution whose outer taps all fall on the padding. */
function centerTap(weight: Value, bias: Value, map: Value): Value {
  const center = [2, 3].map((axis) => ({ axis, start: 1, end: 2 }));
  return conv2d(map, slice(weight, center), bias);
}

/**
 * A block: every position of T frames attends to the audio of the T frames, without a softmax: z = x + W_z(y),
 * y = (theta(x) phi(audio)^T / P) g(x), P = T*H*W; then layer norm.  map `[N,C,H,W]`, audio `[N,128]` -> the same map size,
 * and the audio as the block sees it `[N,C]`.
 */
function tpaviBlock(scope: Scope, task: Task, { channels, attendAudio, attendVisual }: TpaviSettings) {
  const inner = channels / 2;
  const forAudio = attendAudio ? scope.at("align_channel") : scope.at("align_channel").unused();
  const align = (task === "avss" ? projection : linear)(forAudio, audioWidth, channels);
  const theta = pointwise(scope.at("theta"), channels, inner, 3);
  const phi = pointwise(scope.at("phi"), channels, inner, 3);
  const g = pointwise(scope.at("g"), channels, inner, 3);
  const out = pointwise(scope.at("W_z").at(0), inner, channels, 3);
  const outNorm = batchNorm(scope.at("W_z").at(1), channels, { weightInit: zeros });
  const norm = layerNorm(scope.at("norm_layer"), channels);

  /** x `[G,T,L,C]` attends to `source`, `[G,T,1,C]` or `[G,T,L,C]`, L = H*W. */
  const attend = (x: Value, source: Value, pass: Pass): Value => {
    const [groups, , pixels] = shape4(x, "tpavi");
    const positions = groupSize * pixels;
    const rows = (v: Value): Value => reshape(v, [groups, positions, -1]);
    const tokens = rows(x); // [G,P,C]
    const mixed = pass.fused
      ? regrouped(x, source)
      : published(tokens, rows(expand(source, x.shape)), positions);
    const widened =
      outNorm.usesBatchStatistics(pass) || !pass.fused ? outNorm.apply(out(mixed), pass) : folded(mixed);
    return norm(add(widened, tokens)); // [G,P,C]
  };

  /** The published order: the scores are a matrix of P x P. */
  const published = (tokens: Value, source: Value, positions: number): Value => {
    const scores = matmul(theta(tokens), phi(source), {
      transB: true,
      alpha: 1 / positions,
    });
    return matmul(scores, g(tokens)); // [G,P,C/2]
  };

  /**
   * The same without scores: y = theta(x) K with K = phi^T g / P, `[C/2,C/2]`. Where the source is one token a frame,
   * phi is constant over its pixels: the sum over them moves into g, which is linear.
   */
  const regrouped = (x: Value, source: Value): Value => {
    const [groups, , pixels] = shape4(x, "tpavi");
    const keys = dim(source, 2);
    const values = keys === 1 ? mean(x, { axes: [2], keepDims: true }) : x; // [G,T,1,C] or [G,T,L,C]
    const flat = (v: Value): Value => reshape(v, [groups, groupSize * keys, -1]);
    const alpha = 1 / (groupSize * keys);
    const kernel = matmul(flat(phi(source)), flat(g(values)), { transA: true, alpha });
    const queries = reshape(theta(x), [groups, groupSize * pixels, -1]);
    return matmul(queries, kernel); // [G,P,C/2]
  };

  /** W_z with the running statistics of its norm folded into its weights. */
  const folded = (x: Value): Value => {
    const { scale, shift } = outNorm.running();
    return affine(x, mul(out.weight, reshape(scale, [channels, 1])), add(mul(out.bias, scale), shift));
  };

  return (map: Value, audio: Value, pass: Pass) => {
    const [batch, , height, width] = shape4(map, "tpavi");
    if (batch % groupSize !== 0) {
      throw new RangeError(`tpavi: ${batch} frames are not a multiple of ${groupSize} (${scope.path})`);
    }
    const grouped = (tokens: Value): Value => {
      const [, rows] = shape3(tokens, "tpavi");
      return reshape(tokens, [batch / groupSize, groupSize, rows, channels]);
    };
    const x = grouped(toTokens(map).tokens); // [G,T,L,C]
    const aligned = align(audio); // [N,C]
    const results: Value[] = [];
    if (attendVisual) results.push(attend(x, x, pass));
    if (attendAudio) results.push(attend(x, grouped(reshape(aligned, [batch, 1, channels])), pass));
    const sum = results.reduce((a, b) => add(a, b));
    const average = results.length === 1 ? sum : mul(sum, 1 / results.length);
    const tokens = reshape(average, [batch, height * width, channels]);
    return { map: toMap({ tokens, height, width }), audio: attendAudio ? aligned : undefined };
  };
}

/** From coarse to fine, as RefineNet does, then to the size of the frames.  Rectified maps `[N,C,H,W]` -> `[N,K,4H,4W]` */
function decoder(scope: Scope, channels: number, classes: number) {
  const paths = [1, 2, 3, 4].map((number) => {
    const path = scope.at(`path${number}`);
    return {
      // The coarsest path has nothing to join.
      enter: residualUnit(
        number === 4 ? path.at("resConfUnit1").unused() : path.at("resConfUnit1"),
        channels,
      ),
      refine: residualUnit(path.at("resConfUnit2"), channels),
    };
  });
  const [wide, narrow] = headChannels;
  const head = scope.at("output_conv");
  const first = convolution(head.at(0), { inputs: channels, outputs: wide });
  const second = convolution(head.at(2), { inputs: wide, outputs: narrow });
  const classify = convolution(head.at(4), { inputs: narrow, outputs: classes, kernel: 1 });

  return (maps: readonly Value[], mask: Value | undefined, pass: Pass): Value => {
    const fused = maps.reduceRight<Value | undefined>((coarser, map, i) => {
      const path = paths[i];
      if (path === undefined) throw new RangeError(`tpavi: no path of stage ${i}`);
      const joined = coarser === undefined ? map : relu(add(coarser, path.enter(map)));
      const size = { height: 2 * dim(map, 2), width: 2 * dim(map, 3) };
      return realFrames(resize(path.refine(joined), { mode: "bilinear-corners", ...size }), mask);
    }, undefined);
    if (fused === undefined) throw new RangeError("tpavi: no stages");
    const enlarged = upsampledConv(first(fused), { ...second, factor: 2 }, pass); // [N,32,4H,4W]
    return realFrames(classify(relu(enlarged)), mask);
  };
}

/** Two convolutions and a shortcut. The published ReLU works in place, so the shortcut of its input is rectified too. */
function residualUnit(scope: Scope, channels: number) {
  const first = convolution(scope.at("conv1"), { inputs: channels, outputs: channels });
  const second = convolution(scope.at("conv2"), { inputs: channels, outputs: channels });
  /** `rectified` is the ReLU of the unit's input. */
  return (rectified: Value): Value => add(second(relu(first(rectified))), rectified);
}

/** The published training: everything but VGGish trains from the start. */
function recipe(task: Task): Recipe {
  const shared = { optimizer: { kind: "adam", learningRate: 1e-4 }, batchSize: 4, freezeEpochs: 0 };
  switch (task) {
    case "s4":
      return { ...shared, epochs: 15, losses: { bce: 1 }, evaluateFrom: 0 };
    case "ms3":
      return { ...shared, epochs: 30, losses: { bce: 1, matching: 0.5 }, evaluateFrom: 0 };
    case "avss": {
      const losses = { crossEntropy: 1, matching: 0.5 };
      return { ...shared, epochs: 60, losses, evaluateFrom: 15, evaluateEvery: 2 };
    }
  }
}

/** TPAVI as one of the systems. */
export const tpaviSystem = defineSystem({
  title: "TPAVI",
  schema: tpaviSchema,
  keys: {
    anchor: "path4.resConfUnit1.conv1.weight",
    visual: ["encoder_backbone", "resnet"],
    classifiers: ["output_conv.4"],
  },
  trainable: true,
  losses: { matching: ["ms3", "avss"] },
  recipe,
  problem: tpaviProblem,
  build: buildTpavi,
  infer: inferTpavi,
});
