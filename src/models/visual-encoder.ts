/** The visual encoders: what the Messenger Blocks need of one, and the table of those there are. */
import * as z from "zod";
import type { Value } from "../graph/index.js";
import { type Pass, type Scope, type TokenGrid, toMap } from "../nn/index.js";
import { inferPvt, pvtSchema, pvtV2 } from "./pvt-v2.js";
import { inferResNet, resnet50, resnetDims, resnetSchema } from "./resnet50.js";
import type { StateDictShapes } from "./state-dict-shapes.js";

/** One number for each of the four stages. */
export type PerStage = readonly [number, number, number, number];

/** A four-stage encoder. */
export interface VisualEncoder {
  /** Channels of the stages. */
  readonly dims: PerStage;
  /** What comes before the first stage: frames `f32[N,3,H,W]` -> its input. */
  stem(frames: Value, pass: Pass): Value;
  /** Stage `index` (0-3): map `[N,C,H,W]` -> tokens of the stage's grid. */
  stage(index: number, map: Value, pass: Pass): TokenGrid;
}

/** Any visual encoder's settings. To add an encoder, add its schema here and its functions below. */
export const visualSchema = z.discriminatedUnion("kind", [pvtSchema, resnetSchema], "a known encoder");
/** Settings of a visual encoder. */
export type VisualConfig = Readonly<z.infer<typeof visualSchema>>;

/** Builds the parameters of an encoder under `scope`. */
export function visualEncoder(scope: Scope, config: VisualConfig): VisualEncoder {
  switch (config.kind) {
    case "pvt-v2":
      return pvtV2(scope, config);
    case "resnet50":
      return resnet50(scope, config);
  }
}

/** Channels of the four stages. */
export function stageDims(config: VisualConfig): PerStage {
  return config.kind === "pvt-v2" ? config.dims : resnetDims;
}

/** Settings of the encoder that a state dict holds under `visual_encoder.`. */
export function inferVisual(shapes: StateDictShapes): VisualConfig {
  return shapes.has("visual_encoder.patch_embed1.proj.weight") ? inferPvt(shapes) : inferResNet(shapes);
}

/** The tokens after each stage, without Messenger Blocks between the stages. */
export function encodeFrames(encoder: VisualEncoder, frames: Value, pass: Pass): TokenGrid[] {
  let map = encoder.stem(frames, pass);
  return encoder.dims.map((_, i) => {
    const grid = encoder.stage(i, map, pass);
    map = toMap(grid);
    return grid;
  });
}
