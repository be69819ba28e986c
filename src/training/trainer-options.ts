/** What a trainer takes, reports and returns. */
import type { Config } from "../config/schema.js";
import type { Clip } from "../datasets/clip.js";
import type { Range, Ranks } from "../distributed/ranks.js";
import type { Predictor } from "../inference/predictor.js";
import type { AvsModelConfig } from "../models/model-config.js";
import type { CountedProgress } from "../progress.js";
import type { StateDict } from "../tensor.js";
import type { EpochRecord, RunProgress, WeightFile } from "../weights/checkpoint.js";
import type { Checkpoint } from "./checkpoint.js";
import type { StepCompiler } from "./step-cache.js";

/** What the trainer needs of a model. */
export interface TrainableModel extends StepCompiler {
  readonly modelConfig: AvsModelConfig;
  /** The weights that train and the running statistics, by key; steps update them in place. */
  readonly weights: StateDict;
  /** Where frozen weights came from, by state-dict prefix. */
  readonly frozen: Readonly<Record<string, WeightFile>>;
  /** Keys of the running statistics that training changes. */
  readonly statistics: readonly string[];
  /** A predictor with the weights as they are now. */
  predictor(): Promise<Predictor>;
}

/** Training clips in an order that depends only on the seed and the epoch; a `ClipLoader` is one. */
export interface ClipSource {
  /** Clips in an epoch. */
  readonly length: number;
  /** Batches in an epoch. */
  batchCount(options: { batchSize: number }): number;
  /** The batches of `epoch` from `startBatch` on. */
  batches(options: {
    epoch: number;
    batchSize: number;
    startBatch: number;
    shuffle: true;
    range: (count: number) => Range;
    signal?: AbortSignal | undefined;
  }): AsyncIterable<readonly Clip[]>;
}

/** Options of a `Trainer`. */
export interface TrainerOptions {
  readonly config: Config;
  readonly model: TrainableModel;
  readonly clips: ClipSource;
  /** Metrics of the model on the validation split; `miou` and `fscore` are used to choose the best epoch. */
  readonly validate: (
    predictor: Predictor,
    options: {
      signal?: AbortSignal | undefined;
      onProgress?: ((progress: CountedProgress) => void) | undefined;
    },
  ) => Promise<Readonly<Record<string, number>>>;
  /** Receives `last.safetensors`, `best.safetensors` and `metrics.jsonl`. */
  readonly workDir: string;
  /** The checkpoint to resume from. Default: the run starts anew. */
  readonly resumeFrom?: Checkpoint | undefined;
  /** The processes that train together; only the first one writes. Default: this one alone. */
  readonly ranks?: Ranks | undefined;
  /** The lock of `workDir`, checked before every checkpoint. */
  readonly lock?: { assertHeld(): Promise<void> } | undefined;
}

/** What happens during a run. */
export type TrainerEvent =
  | {
      readonly kind: "step";
      readonly epoch: number;
      /** Batches of the epoch done, of `batches`. */
      readonly batch: number;
      readonly batches: number;
      readonly loss: number;
      readonly learningRate: number;
      /** Parts of the loss and, on several ranks, `waitSeconds` and `reduceSeconds`, as in `metrics.jsonl`. */
      readonly reports: Readonly<Record<string, number>>;
    }
  | ({ readonly kind: "validation"; readonly epoch: number } & CountedProgress)
  | { readonly kind: "epoch"; readonly record: EpochRecord; readonly best: boolean }
  | { readonly kind: "checkpoint"; readonly file: string };

/** How a run ended. */
export interface TrainingResult {
  readonly history: readonly EpochRecord[];
  readonly best: RunProgress["best"];
  readonly lastFile: string;
  /** Absent when no epoch was evaluated. */
  readonly bestFile?: string | undefined;
}

/** Options of `Trainer.run`. */
export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: TrainerEvent) => void) | undefined;
}
