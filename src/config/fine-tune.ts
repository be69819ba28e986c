/** The parts of a configuration that train a checkpoint further. */
import { ownModel } from "./model-from-config.js";
import type { Config } from "./schema.js";

/** What fine-tuning is. */
export interface FineTuneOptions {
  /** Path of the checkpoint to start from. */
  readonly init: string;
  /** Default: 30. */
  readonly epochs?: number | undefined;
  /** The learning rate as a fraction of the one that the checkpoint was trained with. Default: a third. */
  readonly rateFraction?: number | undefined;
  /** Files of encoders. Default: those that the checkpoint was trained on. */
  readonly encoders?: Partial<Record<"visual" | "audio" | "pca", string | null | undefined>> | undefined;
}

/** The sections of a configuration that trains a checkpoint further, from the one that it was trained with. */
export function fineTuneSections(
  base: Config,
  { init, epochs = 30, rateFraction = 1 / 3, encoders = {} }: FineTuneOptions,
): { readonly model: object; readonly training: object } {
  const learningRate = Number((base.training.optimizer.learningRate * rateFraction).toPrecision(3));
  const { visual, audio } = base.model;
  const model = {
    ...base.model,
    visual: { ...visual, weights: encoders.visual ?? visual.weights },
    audio: { ...audio, weights: encoders.audio ?? audio.weights, pca: encoders.pca ?? audio.pca },
    classes: null,
  };
  return { model: ownModel(model), training: { epochs, optimizer: { learningRate }, init } };
}
