/**
 * SelM (Li et al., "SelM: Selective Mechanism based Audio-Visual Segmentation", ACM MM 2024). State-dict keys as in the
 * published code (github.com/Cyyzpoi/SelM, Apache-2.0). VGGish is a file of its own there; here its keys are under `vggish.`.
 *
 * Two things differ from that code on purpose. It adds random noise where positions choose tokens, at inference too; this
 * code adds none. And with several clips in a batch it mixes their gates; here clips never meet.
 *
 * N frames of clips of T; D the width; C, H and W the channels and sides of a stage.
 */
import * as z from "zod";
import { count, integer, section } from "../../fields.js";
import { dim, reshape, type Value } from "../../graph/index.js";
import { groupNorm, layerNorm, linear, type Pass, pointwise, Scope, toMap } from "../../nn/index.js";
import type { AvsInputs, AvsModel } from "../avs-model.js";
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
import { audioWidth, vggish } from "../vggish.js";
import { stageDims, type VisualConfig, visualEncoder } from "../visual-encoder.js";
import { type DecodedLevel, decoder } from "./decoder.js";
import { fusionBlock } from "./fusion.js";
import { bidirectionalGates } from "./gates.js";

/** Settings of SelM, with the published values as defaults. */
const selmSettingsSchema = section({
  /** Side of the logits. */
  maskSize: count(4096).default(224),
  /** Channels of audio, tokens and maps; a multiple of `groups` and 16. */
  width: count(4096).default(256),
  /** Groups of the group norms. */
  groups: count(4096).default(32),
  /** How often the finest map, a quarter of the frame, is enlarged by two before the masks. */
  enlargements: integer(1, 2).default(1),
});
/** Settings of SelM. */
export type SelmSettings = Readonly<z.infer<typeof selmSettingsSchema>>;

/**
 * A SelM model. Published: frames of 448 pixels for S4 with PVTv2 and for MS3, else 224; learned positions tie a
 * checkpoint to the size of its frames.
 */
export const selmSchema = section({
  kind: z.literal("selm"),
  ...baseShape,
  selm: selmSettingsSchema.prefault({}),
});
/** A SelM model. */
export type SelmConfig = Readonly<z.infer<typeof selmSchema>>;

/** What a pass computes on its way, for comparison with the published code. */
export interface SelmTrace {
  /** `[N,K,S,S]` of the decoded frames, S the mask size. */
  readonly logits: Value;
  /** After the fusion block of every stage: `[N,C,H,W]` and `[N,D]`. */
  readonly stages: readonly { readonly map: Value; readonly audio: Value }[];
  /** After the bidirectional gates: maps `[N,D,H,W]`, fine to coarse, and audio `[N,D]`. */
  readonly gated: { readonly maps: readonly Value[]; readonly audio: Value };
  /** The decoder's levels, coarse to fine, of the decoded frames. */
  readonly levels: readonly DecodedLevel[];
}

/** What differs between the published models. */
function publishedSelm(
  task: Task,
  visual: VisualConfig["kind"],
): { readonly imageSize: number; readonly enlargements: number } {
  const isPvt = visual === "pvt-v2";
  switch (task) {
    case "s4":
      return isPvt ? { imageSize: 448, enlargements: 1 } : { imageSize: 224, enlargements: 2 };
    case "ms3":
      return { imageSize: 448, enlargements: isPvt ? 2 : 1 };
    case "avss":
      return { imageSize: 224, enlargements: 2 };
  }
}

/** A model that shows the values on the way. */
export interface SelmModel extends AvsModel {
  trace(inputs: AvsInputs, pass: Pass): SelmTrace;
}

/** State-dict prefixes of the encoders. */
function encodersOf(isPvt: boolean): EncoderPrefixes {
  if (!isPvt) return { visual: "resnet", audio: "vggish" };
  const inserted = [1, 2, 3, 4].map((stage) => `encoder_backbone.DAM_Fusion${stage}`);
  return { visual: "encoder_backbone", audio: "vggish", inserted };
}

/** Builds a model of a possible configuration. */
export function buildSelm(config: SelmConfig): SelmModel {
  const { visual, frameCount, selm } = config;
  const { width, groups } = selm;
  const root = new Scope();
  const isPvt = visual.kind === "pvt-v2";
  const encoders = encodersOf(isPvt);
  const encoderScope = root.at(encoders.visual);
  const encoder = visualEncoder(encoderScope, visual);
  const audioEncoder = vggish(root.at(encoders.audio), config.audio);
  const project = linear(root.at("audio_proj"), audioWidth, width);
  const norm = layerNorm(root.at("audio_norm"), width);
  const stages = stageDims(visual).map((channels, i) => {
    const at = root.at(`in_proj${i + 1}`);
    return {
      fuse: fusionBlock((isPvt ? encoderScope : root).at(`DAM_Fusion${i + 1}`), { channels, width }),
      narrow: pointwise(at.at(0), channels, width, 2),
      narrowNorm: groupNorm(at.at(1), width, groups),
    };
  });
  const gate = bidirectionalGates(root.at(isPvt ? "tem_att" : "BCSM"), stages.length, width);
  const decode = decoder(root.at("decoder"), {
    ...selm,
    side: config.imageSize / 16,
    classes: config.classes.length,
  });

  const trace = ({ frames, embedding, frameMask, decodeEvery = 1 }: AvsInputs, pass: Pass): SelmTrace => {
    const batch = dim(frames, 0);
    const decoded = (x: Value): Value => everyFrame(x, decodeEvery);
    const mask = config.task === "avss" ? frameMask : undefined; // only AVSS pads clips
    const tokenMask = mask && reshape(mask, [batch, 1, 1]);

    let audio = realFrames(norm(project(reshape(embedding, [batch, 1, audioWidth]))), mask); // [N,1,D]
    let map = encoder.stem(realFrames(frames, mask), pass);
    const fused = stages.map(({ fuse, narrow, narrowNorm }, i) => {
      const grid = encoder.stage(i, map, pass);
      const result = fuse({ audio, tokens: grid.tokens, frameMask: tokenMask }, pass);
      audio = result.audio;
      map = toMap({ ...grid, tokens: result.tokens });
      const level = narrowNorm(toMap({ ...grid, tokens: narrow(realFrames(result.tokens, mask)) })); // [N,D,H,W]
      return { map, level, audio: reshape(audio, [batch, width]) };
    });
    const gated = gate(
      { maps: fused.map(({ level }) => level), audio: reshape(audio, [batch, width]) },
      frameCount,
    );
    const { logits, levels } = decode(
      {
        maps: gated.maps.map(decoded),
        audio: decoded(gated.audio),
        frameMask: tokenMask && decoded(tokenMask),
      },
      pass,
    );
    return { logits: realFrames(logits, mask && decoded(mask)), stages: fused, gated, levels };
  };
  return {
    config,
    specs: root.specs(),
    values: root.values(),
    encoders,
    embedAudio: (logMel) => audioEncoder.embed(logMel),
    forward: (inputs, pass) => ({ logits: trace(inputs, pass).logits }),
    trace,
  };
}

/** Checks the rules that span several keys. */
export function selmProblem({ selm }: SelmConfig): ModelConfigProblem | undefined {
  const { width, groups } = selm;
  const multiple = (of: number, what: string) =>
    width % of === 0 ? undefined : problemAt("selm.width", `${width} is not a multiple of ${of}${what}`);
  return multiple(groups, " groups") ?? multiple(16, ", as state-space layers need");
}

/**
 * The model of a state dict with published keys. Its positions reveal the size of its frames, and the number of its
 * enlargements the binary task.
 */
function inferSelm(shapes: StateDictShapes, hints: InferenceHints): SelmConfig {
  const isPvt = shapes.has("encoder_backbone.patch_embed1.proj.weight");
  const width = shapes.size("audio_proj.weight");
  const outputs = shapes.size("decoder.proj.audio_linear.weight");
  const enlargements = shapes.has("decoder.proj.vis.3.0.weight") ? 2 : 1;
  const imageSize = 16 * Math.sqrt(shapes.size("decoder.layers.0.positional_embedding"));
  const ms3 = publishedSelm("ms3", isPvt ? "pvt-v2" : "resnet50");
  const isMs3 = imageSize === ms3.imageSize && enlargements === ms3.enlargements;
  const base = inferBase(
    shapes,
    {
      // One logit has a bias besides its weights, several have none.
      logits: outputs === width + 1 ? 1 : outputs / width,
      encoders: encodersOf(isPvt),
      imageSize,
    },
    { ...hints, task: hints.task ?? (isMs3 ? "ms3" : "s4") },
  );
  return { kind: "selm", ...base, selm: selmSettingsSchema.parse({ width, enlargements }) };
}

/** Settings to evaluate with: the authors' batches of two clips decide the published averages. */
function recipe(task: Task, visual: string): Recipe {
  const { imageSize, enlargements } = publishedSelm(task, visual === "resnet50" ? visual : "pvt-v2");
  const losses = task === "avss" ? { crossEntropy: 1 } : { dice: 1 };
  const sections = { selm: { enlargements } };
  return { epochs: 30, losses, evaluateFrom: 0, batchSize: 2, imageSize, sections };
}

/** SelM as one of the systems. */
export const selmSystem = defineSystem({
  title: "SelM",
  schema: selmSchema,
  keys: {
    anchor: "decoder.proj.audio_linear.weight",
    visual: ["encoder_backbone", "resnet"],
    classifiers: ["decoder.proj"],
  },
  trainable: false,
  recipe,
  maskSize: ({ selm }) => selm.maskSize,
  problem: selmProblem,
  build: (config): AvsModel => buildSelm(config),
  infer: inferSelm,
});
