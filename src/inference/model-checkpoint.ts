/** What every weight file is to the code that makes models of it: a checkpoint of avseg, or published weights. */
import type { AvsModelConfig } from "../models/model-config.js";
import { modelConfigFromJson } from "../models/model-config.js";
import { systemKeys } from "../models/systems.js";
import type { StateDict } from "../tensor.js";
import {
  type CheckpointHeader,
  readCheckpointHeader,
  splitTensors,
  type WeightFile,
} from "../weights/checkpoint.js";
import { modelKeys } from "../weights/key-forms.js";
import type { EncoderFiles, ModelFiles } from "./weight-sources.js";

/** A weight file, read. */
export interface ModelCheckpoint {
  /** What a checkpoint of avseg says about itself; `undefined` for published weights. */
  readonly header: CheckpointHeader | undefined;
  /** The model that it describes; `undefined` where only its shapes do. */
  readonly saved: AvsModelConfig | undefined;
  /** Parameters by their published keys, whatever form the file has. */
  readonly parameters: StateDict;
}

/** Reads a weight file. Throws `CheckpointError` when it is missing or damaged. */
export async function readModelCheckpoint(file: string, modelFiles: ModelFiles): Promise<ModelCheckpoint> {
  const { tensors, metadata } = await modelFiles.weights(file);
  const header = readCheckpointHeader(metadata, file);
  const { parameters } = splitTensors(tensors);
  return {
    header,
    saved: header?.model === undefined ? undefined : modelConfigFromJson(header.model, file),
    parameters: header ? parameters : modelKeys(parameters, { systems: systemKeys, file }),
  };
}

/** The files that are named, and for the parts without one those that the checkpoint was trained on. */
export function completedEncoders(
  { visual, audio, pca }: EncoderFiles,
  trainedOn: Readonly<Record<string, WeightFile>> = {},
): EncoderFiles {
  return {
    visual: visual ?? trainedOn.visual_encoder?.file,
    audio: audio ?? trainedOn.audio_encoder?.file,
    pca: pca ?? trainedOn["audio_encoder.pproc"]?.file,
  };
}
