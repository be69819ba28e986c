/** What the Messenger Blocks need of a visual encoder: its stages, one at a time. */
import type { Value } from "../graph/index.js";
import { type Pass, type TokenGrid, toMap } from "../nn/index.js";
import type { PerStage } from "./model-config.js";

/** A four-stage encoder. */
export interface VisualEncoder {
  /** Channels of the stages. */
  readonly dims: PerStage;
  /** What comes before the first stage: frames `f32[N,3,H,W]` -> its input. */
  stem(frames: Value, pass: Pass): Value;
  /** Stage `index` (0-3): map `[N,C,H,W]` -> tokens of the stage's grid. */
  stage(index: number, map: Value, pass: Pass): TokenGrid;
}

/** The tokens after each stage, nothing in between: the encoder alone. */
export function encodeFrames(encoder: VisualEncoder, frames: Value, pass: Pass): TokenGrid[] {
  let map = encoder.stem(frames, pass);
  return encoder.dims.map((_, i) => {
    const grid = encoder.stage(i, map, pass);
    map = toMap(grid);
    return grid;
  });
}
