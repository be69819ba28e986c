/** The published training recipes: what a configuration gets where it says nothing, by system and task. */
import type { AvsModelConfig, Task } from "../models/model-config.js";

/** Settings that depend on the system and the task. */
export interface Recipe {
  readonly epochs: number;
  readonly losses: Readonly<Record<string, number>>;
  /** First epoch, counted from 0, after which the model is evaluated. */
  readonly evaluateFrom: number;
  readonly evaluateEvery?: number | undefined;
  /** Default: that of the schema. */
  readonly optimizer?: Readonly<Record<string, unknown>> | undefined;
  /** Clips per step. Default: that of the schema. */
  readonly batchSize?: number | undefined;
  /** Side of the frames. Default: that of the schema. */
  readonly imageSize?: number | undefined;
  /** Epoch from which the visual encoder trains. Default: never. */
  readonly freezeEpochs?: number | undefined;
}

// Zhou et al. 2022 and 2024: everything but VGGish trains from the start.
const tpavi = { optimizer: { kind: "adam", learningRate: 1e-4 }, batchSize: 4, freezeEpochs: 0 };
// Gao et al. 2024.
const avsegformer = { optimizer: { kind: "adamw", learningRate: 2e-5 } };
const large = { batchSize: 2, imageSize: 512 };

const seavs: Readonly<Record<Task, Recipe>> = {
  s4: { epochs: 30, losses: { dice: 1 }, evaluateFrom: 0 },
  ms3: { epochs: 60, losses: { dice: 1, bce: 1 }, evaluateFrom: 0 },
  avss: { epochs: 30, losses: { crossEntropy: 1 }, evaluateFrom: 10 },
};

/** The recipes. SelM is evaluated, not trained: its authors' batches of two clips decide the published averages. */
export const recipes: Readonly<Record<AvsModelConfig["kind"], Readonly<Record<Task, Recipe>>>> = {
  seavs,
  tpavi: {
    s4: { ...tpavi, epochs: 15, losses: { bce: 1 }, evaluateFrom: 0 },
    ms3: { ...tpavi, epochs: 30, losses: { bce: 1, matching: 0.5 }, evaluateFrom: 0 },
    avss: {
      ...tpavi,
      epochs: 60,
      losses: { crossEntropy: 1, matching: 0.5 },
      evaluateFrom: 15,
      evaluateEvery: 2,
    },
  },
  avsegformer: {
    s4: {
      ...avsegformer,
      ...large,
      epochs: 30,
      losses: { dice: 1, mix: 0.1 },
      evaluateFrom: 0,
      freezeEpochs: 5,
    },
    ms3: {
      ...avsegformer,
      ...large,
      epochs: 60,
      losses: { dice: 1, mix: 0.1 },
      evaluateFrom: 0,
      freezeEpochs: 10,
    },
    avss: {
      ...avsegformer,
      epochs: 30,
      losses: { crossEntropy: 1, mix: 0.1 },
      evaluateFrom: 10,
      evaluateEvery: 2,
      batchSize: 4,
      imageSize: 224,
      freezeEpochs: 0,
    },
  },
  selm: {
    s4: { ...seavs.s4, batchSize: 2 },
    ms3: { ...seavs.ms3, batchSize: 2 },
    avss: { ...seavs.avss, batchSize: 2 },
  },
};
