/**
 * TPAVI, the baseline of AVSBench: temporal pixel-wise audio-visual interaction (Zhou et al., "Audio-Visual
 * Segmentation", ECCV 2022, https://arxiv.org/abs/2207.05042; "Audio-Visual Segmentation with Semantics", IJCV 2024,
 * https://arxiv.org/abs/2301.13190). State-dict keys as in the published code (github.com/OpenNLPLab/AVSBench, Apache-2.0).
 * VGGish is a file of its own there; here its keys are under `vggish.`.
 *
 * N frames, five in a row are a group of T; C decoder channels, H and W those of a stage.
 */
import * as z from "zod";
import { count, expecting, flag, section } from "../../fields.js";
import { relu, type Value } from "../../graph/index.js";
import { type Pass, Scope, toMap } from "../../nn/index.js";
import type { AvsInputs, AvsModel, AvsOutputs } from "../avs-model.js";
import {
  baseShape,
  type EncoderPrefixes,
  type InferenceHints,
  inferBase,
  type ModelConfigProblem,
  problemAt,
  type Task,
} from "../base-config.js";
import { everyFrame, realFrames } from "../frame-axis.js";
import type { StateDictShapes } from "../state-dict-shapes.js";
import { defineSystem, type Recipe } from "../system-definition.js";
import { vggish } from "../vggish.js";
import { encodeFrames, stageDims, type VisualConfig, visualEncoder } from "../visual-encoder.js";
import { groupSize, tpaviBlock } from "./block.js";
import { contextModule, decoder } from "./decoder.js";

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
