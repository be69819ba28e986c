/** From a configuration to a trainer that is ready to run: data, weights, model, checkpoint. */

import { existsSync } from "node:fs";
import { modelFromConfig } from "../config/model-from-config.js";
import type { Config } from "../config/schema.js";
import { openDataset } from "../datasets/avsbench/open-dataset.js";
import type { AvsDataset } from "../datasets/clip.js";
import { ClipLoader } from "../datasets/loader.js";
import { type Ranks, rangeOf, singleRank } from "../distributed/ranks.js";
import { CheckpointError, ConfigError } from "../errors.js";
import { evaluateClips, type ScorerState } from "../evaluation/evaluate-clips.js";
import { mergeStates } from "../evaluation/merge-states.js";
import { EmbeddingCache } from "../inference/node/embedding-cache.js";
import { soundFormOf, trainableKinds } from "../models/systems.js";
import { acquireLock, type Lock, lockInside } from "../node/lock.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { nodeProviders } from "../runtime/providers.js";
import type { WeightFile } from "../weights/checkpoint.js";
import { augmentedClips } from "./augment.js";
import { type AvsTrainingModel, openTrainingModel } from "./avs-training.js";
import type { Checkpoint } from "./checkpoint.js";
import { loadCheckpoint, readCheckpointInfo } from "./checkpoint.js";
import { stepParts } from "./counted-frames.js";
import { runFiles } from "./run-files.js";
import { requireSameRun } from "./same-run.js";
import { Trainer } from "./trainer.js";

/** Options of `openTraining`. */
export interface OpenTrainingOptions {
  readonly config: Config;
  readonly workDir: string;
  /**
   * What to do with a run that the folder has already: `resume` continues it (or starts, where there is
   * no run), `replace` starts anew, `refuse` (the default) throws.
   */
  readonly existing?: "resume" | "replace" | "refuse" | undefined;
  /** The processes that train together; only the first one writes. Default: this one alone. */
  readonly ranks?: (Ranks & { readonly threads?: number | undefined }) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Receives what is worth knowing but does not stop the run. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** What is worth knowing of a run before it starts. */
export interface TrainingSummary {
  readonly parameters: AvsTrainingModel["parameterCounts"];
  /** Nominal floating-point operations of one clip's forward pass; a multiply-add counts as two. */
  readonly forwardFlops: number;
  readonly trainClips: number;
  readonly valClips: number;
  /** The files that the encoders start from; `undefined` for random weights. */
  readonly encoders: { readonly visual: string | undefined; readonly audio: string | undefined };
}

/** A run that is ready. Close it to free its threads, its sessions and its folder. */
export interface Training {
  readonly trainer: Trainer;
  readonly summary: TrainingSummary;
  close(): Promise<void>;
}

/**
 * Opens datasets and weights and prepares a run; nothing is compiled yet. The run's folder is locked until `close`.
 * Throws `LockedError` when another process trains or evaluates into the folder, `DatasetError`, `CheckpointError`,
 * `ConfigError` or `OutputError`, all before anything is written.
 *
 * @example
 * const { config, workDir } = await loadConfig("config/s4/pvt2.yaml");
 * const training = await openTraining({ config, workDir, existing: "resume" });
 * try {
 *   await training.trainer.run();
 * } finally {
 *   await training.close();
 * }
 */
export async function openTraining(options: OpenTrainingOptions): Promise<Training> {
  const { workDir, ranks = singleRank } = options;
  if (ranks.rank > 0) return openRun(options, undefined); // the first rank has the lock
  const otherwise = "choose another folder with --out";
  const lock = await acquireLock(lockInside(workDir), { what: workDir, task: "avseg train", otherwise });
  try {
    const training = await openRun(options, lock);
    const close = async (): Promise<void> => {
      await training.close().finally(() => lock.release());
    };
    return { ...training, close };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Opens a run; `close` leaves the lock. */
async function openRun(options: OpenTrainingOptions, lock: Lock | undefined): Promise<Training> {
  const { config, workDir, existing = "refuse", ranks = singleRank, signal, onWarning } = options;
  requireTrainable(config.model.kind);
  const { provider } = config.runtime;
  if (provider === "auto") {
    throw new ConfigError("runtime.provider: expected the name of a provider to train on, found auto", {
      hint: `A resumed run continues to the bit, so name one with --provider: ${nodeProviders.join(", ")}.`,
    });
  }
  const resumeFrom = await existingRun(options, existing);
  const { seed, augment } = config.training;
  const { trainSet, valSet } = await openDatasets(options);
  signal?.throwIfAborted();
  const runtime = nodeRuntime({
    provider,
    threads: config.runtime.threads ?? options.ranks?.threads,
  });
  const workers = config.data.workers ?? undefined;
  const loader = new ClipLoader(trainSet, { seed, workers });
  const valLoader = new ClipLoader(valSet, { seed, workers });
  const close = async (): Promise<void> => {
    await Promise.all([loader.close(), valLoader.close()]);
    await runtime.close();
  };
  try {
    const model = await openTrainingModel({
      config,
      modelConfig: modelFromConfig(config, trainSet.classes),
      runtime,
      embeddings: config.data.audioCache ? new EmbeddingCache({ onWarning }) : undefined,
    });
    if (resumeFrom) requireSameFiles(resumeFrom.frozen, model.frozen, runFiles(workDir).last);
    const trainer = new Trainer({
      config,
      model,
      clips: augmentedClips(loader, { entries: trainSet.entries, settings: augment, seed }),
      workDir,
      resumeFrom,
      ranks,
      lock,
      validate: async (predictor, { signal: stop, onProgress }) => {
        const { batchSize } = config.data;
        const { start, end } = rangeOf(ranks, valLoader.batchCount({ batchSize }));
        const clips = valLoader.batches({ batchSize, startBatch: start, endBatch: end, signal: stop });
        const result = await evaluateClips({
          predictor,
          task: config.task,
          clips,
          total: Math.min(end * batchSize, valLoader.length) - start * batchSize,
          batchSize,
          onProgress,
          signal: stop,
          // Every rank sends the same type.
          merge:
            ranks.size > 1
              ? async (own) => mergeStates((await ranks.gather(own)) as ScorerState[])
              : undefined,
        });
        // Sums of parts differ in the last bits from those of the whole; a run should not depend on its ranks.
        return Object.fromEntries(
          Object.entries(result.summary).map(([name, value]) => [name, Number(value.toPrecision(12))]),
        );
      },
    });
    const summary = {
      parameters: model.parameterCounts,
      forwardFlops: model.forwardFlops,
      trainClips: loader.length,
      valClips: valLoader.length,
      encoders: { visual: model.frozen.visual_encoder?.file, audio: model.frozen.audio_encoder?.file },
    };
    if (!resumeFrom) warnOfRandomEncoders(config, summary, onWarning);
    return { trainer, summary, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function requireTrainable(kind: Config["model"]["kind"]): void {
  if (trainableKinds.some((name) => name === kind)) return;
  throw new ConfigError(`model.kind: models of kind ${kind} are not trained here`, {
    hint: `Train one of ${trainableKinds.join(", ")}; checkpoints of this kind can be evaluated with \`avseg eval\`.`,
  });
}

/** The clips to train on, as far as a step computes them, and whole ones to validate on. */
async function openDatasets({
  config,
  onWarning,
}: OpenTrainingOptions): Promise<{ readonly trainSet: AvsDataset; readonly valSet: AvsDataset }> {
  const { task, training } = config;
  const { root, imageSize, audio } = config.data;
  const model = modelFromConfig({ ...config, model: { ...config.model, classes: null } });
  const step = stepParts(model, config.model.audio.train);
  const waves = soundFormOf(model) === "wave";
  const options = { task, root, imageSize, audio, waves, onWarning };
  return {
    trainSet: await openDataset({
      ...options,
      split: "train",
      frameCount: step.config.frameCount,
      soundSeconds: step.soundSeconds,
    }),
    valSet: await openDataset({ ...options, split: training.valSplit, frameCount: model.frameCount }),
  };
}

/**
 * The checkpoint to resume from. Throws `ConfigError` for a folder with a run when `existing` is `refuse`, and for a
 * run of another configuration.
 */
async function existingRun(
  { config, workDir }: Pick<OpenTrainingOptions, "config" | "workDir">,
  existing: NonNullable<OpenTrainingOptions["existing"]>,
): Promise<Checkpoint | undefined> {
  const { last, best } = runFiles(workDir);
  const found = [last, best].find((file) => existsSync(file));
  if (found === undefined || existing === "replace") return undefined;
  if (existing === "refuse") {
    throw new ConfigError(`${workDir}: it already holds a run (${found})`, {
      hint: "Continue it with --resume, start anew with --overwrite, or choose another folder with --out.",
    });
  }
  // A run killed between its first two checkpoints left the best alone, and makes it again.
  const checkpoint = found === last ? await loadCheckpoint(last) : undefined;
  requireSameRun((checkpoint ?? (await readCheckpointInfo(best))).config, config, found);
  return checkpoint;
}

/** Nothing can be learnt over encoders that are random and stay so. */
function warnOfRandomEncoders(
  { model: { visual, audio } }: Config,
  { encoders }: TrainingSummary,
  onWarning: OpenTrainingOptions["onWarning"],
): void {
  const random = {
    visual: encoders.visual === undefined && visual.freezeEpochs < 0,
    audio: encoders.audio === undefined && !audio.train,
  };
  for (const part of ["visual", "audio"] as const) {
    if (!random[part]) continue;
    onWarning?.(
      `the ${part} encoder has random weights that are never trained: set model.${part}.weights to a file (\`avseg weights pull\` gets the public ones)`,
    );
  }
}

/** The weights that training stands on must be those that it started from. */
function requireSameFiles(
  saved: Readonly<Record<string, WeightFile>>,
  current: Readonly<Record<string, WeightFile>>,
  file: string,
): void {
  for (const part of new Set([...Object.keys(saved), ...Object.keys(current)])) {
    const [before, now] = [saved[part], current[part]];
    if (before?.sha256 === now?.sha256) continue;
    throw new CheckpointError(
      `${file}: its ${part} started from ${before?.file ?? "the seed"}, now it is ${now?.file ?? "the seed"}, with other content`,
      { hint: "Give the weights that the run began with, or start a new run with --out." },
    );
  }
}
