/** What a model is, before it can run. */
import { maskSizeOf } from "../models/model-config.js";
import { soundFormOf } from "../models/systems.js";
import type { LoadedPredictor } from "./predictor.js";

/** All of a predictor but its functions. */
export type ModelFacts = Omit<LoadedPredictor, "predict" | "close">;

/** Called when a model is known. Its session is made once the promise that is returned, if any, is fulfilled. */
export type OnKnown = (facts: ModelFacts) => Promise<unknown> | undefined;

/** The facts of a model that takes `clipsPerRun` clips. Default: 1. */
export function modelFacts({
  config,
  clipsPerRun = 1,
  files,
  trainedOn,
}: Pick<ModelFacts, "config" | "files" | "trainedOn"> & {
  readonly clipsPerRun?: number | undefined;
}): ModelFacts {
  const { frameCount, imageSize, classes } = config;
  return {
    ...{ frameCount, imageSize, classes, clipsPerRun, config, files, trainedOn },
    maskSize: maskSizeOf(config),
    soundForm: soundFormOf(config),
  };
}
