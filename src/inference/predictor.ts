/** The narrow waist between models and what uses them: clips in, logits out. */

import type { AvsModelConfig } from "../models/model-config.js";
import type { TensorOf } from "../tensor.js";
import type { WeightFile } from "./assemble-weights.js";

/** A batch of B clips of T steps, frames of all clips in one leading axis. */
export interface ClipBatch {
  /** `u8[B*T,H,W,3]`, RGB. */
  readonly frames: TensorOf<"u8">;
  /** `f32[B*T,1,96,64]`, VGGish examples. */
  readonly logMel: TensorOf<"f32">;
  /** `f32[B*T]`, 0 for padded frames. */
  readonly keep: TensorOf<"f32">;
}

/** A model ready to run. Close it to free its sessions. */
export interface Predictor {
  /** Steps per clip, T. */
  readonly frameCount: number;
  /** Side of the square frames the model takes, in pixels. */
  readonly imageSize: number;
  /** Class names; one logit for the binary tasks, else one per class. */
  readonly classes: readonly string[];
  /** `f32[B*T,K,H,W]` logits; K = 1 for the binary tasks. */
  predict(batch: ClipBatch): Promise<TensorOf<"f32">>;
  close(): Promise<void>;
}

/** A predictor with what it is made of. */
export interface LoadedPredictor extends Predictor {
  readonly description: AvsModelConfig;
  /** Where its encoders came from, by state-dict prefix; empty where one file holds all. */
  readonly files: Readonly<Record<string, WeightFile>>;
}
