/**
 * The training loop. Everything that decides the result is a function of the configuration and of
 * `Progress` (epoch, batch, step), so a run that is stopped at any moment and resumed from its last
 * checkpoint goes through the very same steps as one that was never stopped.
 */

import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import type { Config } from "../config/schema.js";
import type { Clip } from "../datasets/clip.js";
import { type Range, type Ranks, rangeOf, singleRank } from "../distributed/ranks.js";
import { CheckpointError, DistributedError, DivergenceError, isOutOfMemory } from "../errors.js";
import type { Predictor } from "../inference/predictor.js";
import { ensureWritableDir, removeStale } from "../node/files.js";
import { MovingAverage } from "../optim/moving-average.js";
import { createOptimizer, type Optimizer } from "../optim/optimizers.js";
import { scheduleFactor } from "../optim/schedule.js";
import type { StateDict, Tensor } from "../tensor.js";
import { type EpochRecord, type RunProgress, startOfRun } from "../weights/checkpoint.js";
import { BatchStep } from "./batch-step.js";
import { overwriteWeights, saveCheckpoint } from "./checkpoint.js";
import { countedFrames } from "./counted-frames.js";
import { diverged, outOfMemory, requireFinite } from "./failures.js";
import { runFiles } from "./run-files.js";
import { RunLog } from "./run-log.js";
import type { StepResult } from "./step.js";
import { StepCache } from "./step-cache.js";
import type { RunOptions, TrainerOptions, TrainingResult } from "./trainer-options.js";

/** Trains a model: steps, validation, checkpoints, log. */
export class Trainer {
  readonly #options: TrainerOptions;
  readonly #optimizer: Optimizer;
  readonly #average: MovingAverage | undefined;
  readonly #batchStep: BatchStep;
  readonly #ranks: Ranks;
  /** The ranks that share the clips of a batch. */
  readonly #batchRanks: Ranks;
  #stopped = false;
  readonly #files: ReturnType<typeof runFiles>;
  #progress: RunProgress;
  readonly #steps: StepCache;
  #predictor: Predictor | undefined;
  #savedAt = performance.now();

  /** Takes over the weights and state of `resumeFrom`. Throws `CheckpointError` when they do not fit the model. */
  constructor(options: TrainerOptions) {
    const { resumeFrom, model, config, ranks = singleRank } = options;
    const { clipNorm, ema } = config.training;
    this.#options = options;
    this.#ranks = ranks;
    this.#steps = new StepCache(model);
    this.#optimizer = createOptimizer(optimizerConfig(config));
    this.#average = ema === null ? undefined : new MovingAverage(ema);
    // Batch statistics are those of the whole batch, which every rank computes then.
    this.#batchRanks = model.statistics.length > 0 ? singleRank : ranks;
    this.#batchStep = new BatchStep({
      ranks: this.#batchRanks,
      weights: model.weights,
      optimizer: this.#optimizer,
      clipNorm: clipNorm ?? undefined,
      average: this.#average,
      compiled: (clips) => this.#steps.get(clips),
      countedFrames: (clip) => countedFrames(clip, model.modelConfig),
      // The next part waits in the session's queue while the gradients of this one are added.
      ahead: model.statistics.length > 0 ? 1 : 2,
    });
    this.#files = runFiles(options.workDir);
    this.#progress = resumeFrom?.progress ?? startOfRun;
    if (!resumeFrom) return;
    const { parameters, live = new Map() } = resumeFrom;
    overwriteWeights(model.weights, new Map([...parameters, ...live]), this.#files.last);
    this.#average?.restore(new Map([...parameters].filter(([key]) => live.has(key))));
    if (!resumeFrom.optimizer) {
      throw new CheckpointError(
        `${this.#files.last}: it has no optimizer state, so the run cannot be resumed`,
        {
          hint: "Start a new run from its weights with --set training.init=FILE.",
        },
      );
    }
    this.#optimizer.restore(resumeFrom.optimizer);
  }

  /** Processes without clips to compute, because a batch has fewer clips than there are processes. */
  get idleRanks(): number {
    const { data, training } = this.#options.config;
    return Math.max(0, this.#batchRanks.size - data.batchSize * training.accumulate);
  }

  /** How far the run is. */
  get progress(): RunProgress {
    return this.#progress;
  }

  /**
   * Trains to the last epoch. On abort it saves the state after the last whole step and throws the signal's
   * reason. Throws `DivergenceError` when the loss or a weight is no longer finite, `OutOfMemoryError` when a step does
   * not fit in memory, and `OutputError` when a file cannot be written.
   */
  async run(options: RunOptions = {}): Promise<TrainingResult> {
    await this.#requireSameStart();
    const log = await this.#openFolder();
    try {
      while (this.#progress.epoch < this.#options.config.training.epochs) await this.#epoch(log, options);
    } catch (error) {
      // Only an interruption leaves the weights sound; they are then those of the last whole step.
      const isInterruption = options.signal?.aborted || this.#stopped;
      if (isInterruption && this.#progress.step > 0) await this.#save("last", options);
      throw error;
    } finally {
      await log?.close();
      await this.#steps.close();
      await this.#predictor?.close();
      this.#predictor = undefined;
    }
    const { history, best } = this.#progress;
    const { last: lastFile, best: bestFile } = this.#files;
    return { history, best, lastFile, bestFile: best ? bestFile : undefined };
  }

  /** Ranks read the checkpoint for themselves. Throws `DistributedError` unless all have the same weights. */
  async #requireSameStart(): Promise<void> {
    if (this.#ranks.size === 1) return;
    const hash = createHash("sha256");
    for (const { data } of this.#options.model.weights.values()) hash.update(data);
    const starts = await this.#ranks.gather(`step ${this.#progress.step}, weights ${hash.digest("hex")}`);
    const other = starts.findIndex((start) => start !== starts[0]);
    if (other < 0) return;
    throw new DistributedError(`rank 0 starts from ${starts[0]}, rank ${other} from ${starts[other]}`, {
      hint: "Give all processes the same weight files, and with --out a folder that all hosts share.",
    });
  }

  /** Prepares the folder and opens its log; the first rank does, for all. */
  async #openFolder(): Promise<RunLog | undefined> {
    if (this.#ranks.rank > 0) return undefined;
    await ensureWritableDir(this.#options.workDir);
    await this.#clear();
    return RunLog.open(this.#files.metrics, this.#progress.step);
  }

  /** Throws the signal's reason when it is aborted, on all ranks as soon as on one. */
  async #throwIfStopped(signal: AbortSignal | undefined): Promise<void> {
    if (this.#ranks.size === 1) {
      signal?.throwIfAborted();
      return;
    }
    this.#stopped = (await this.#ranks.gather(signal?.aborted === true)).includes(true);
    if (this.#stopped) throw signal?.reason ?? new DOMException("another rank was interrupted", "AbortError");
  }

  /** Removes what a killed run left half-written and, in a new run, the checkpoints of an earlier one. */
  async #clear(): Promise<void> {
    const { workDir, resumeFrom } = this.#options;
    await removeStale(workDir);
    if (resumeFrom) return;
    await Promise.all([this.#files.best, this.#files.last].map((file) => rm(file, { force: true })));
  }

  async #epoch(log: RunLog | undefined, options: RunOptions): Promise<void> {
    const { config, clips } = this.#options;
    const { epoch, batch: startBatch } = this.#progress;
    const batchSize = config.data.batchSize * config.training.accumulate;
    const batches = clips.batchCount({ batchSize });
    const totalSteps = batches * config.training.epochs;
    const { signal, onEvent } = options;
    let learningRate = this.#learningRate(totalSteps);
    const range = (count: number): Range => rangeOf(this.#batchRanks, count);
    const loading = this.#ranks.size === 1 ? { range, signal } : { range }; // ranks stop together
    for await (const group of clips.batches({ epoch, batchSize, startBatch, shuffle: true, ...loading })) {
      await this.#throwIfStopped(signal);
      learningRate = this.#learningRate(totalSteps);
      const before = this.#progress;
      const total = Math.min(batchSize, clips.length - before.batch * batchSize);
      const result = await this.#step(group, total, learningRate);
      this.#progress = {
        ...before,
        batch: before.batch + 1,
        step: before.step + 1,
        lossSum: before.lossSum + result.loss * total,
        lossClips: before.lossClips + total,
      };
      const { batch, step } = this.#progress;
      await log?.write({ kind: "step", step, epoch, learningRate, loss: result.loss, ...result.reports });
      const { loss, reports } = result;
      onEvent?.({ kind: "step", epoch, batch, batches, loss, learningRate, reports });
      if (batch < batches && this.#checkpointIsDue()) await this.#save("last", options);
    }
    await this.#throwIfStopped(signal);
    await this.#endEpoch({ epoch, learningRate }, log, options);
  }

  async #endEpoch(
    { epoch, learningRate }: Pick<EpochRecord, "epoch" | "learningRate">,
    log: RunLog | undefined,
    options: RunOptions,
  ): Promise<void> {
    const validation = this.#evaluationIsDue(epoch) ? await this.#validate(epoch, options) : undefined;
    const { lossSum, lossClips, history, best, step } = this.#progress;
    const record: EpochRecord = {
      epoch,
      loss: lossSum / Math.max(1, lossClips),
      learningRate,
      validation,
    };
    const value = validation && this.#selectionMetric(validation);
    const isBest = value !== undefined && (best === null || value > best.value);
    this.#progress = {
      epoch: epoch + 1,
      batch: 0,
      step,
      lossSum: 0,
      lossClips: 0,
      best: isBest ? { epoch, value } : best,
      history: [...history, record],
    };
    await log?.write({ kind: "epoch", step, ...record });
    // `best` first: if the process dies in between, the resumed run comes here again and writes it again.
    if (isBest) await this.#save("best", options);
    await this.#save("last", options);
    options.onEvent?.({ kind: "epoch", record, best: isBest });
  }

  async #step(clips: readonly Clip[], total: number, learningRate: number): Promise<StepResult> {
    const { epoch, step } = this.#progress;
    const where = `epoch ${epoch + 1}, step ${step + 1}`;
    const atOnce = this.#clipsAtOnce();
    try {
      const trained = await this.#steps.enter(epoch);
      return await this.#batchStep.run({ clips, total, atOnce, trained, step, learningRate });
    } catch (cause) {
      if (cause instanceof DivergenceError) throw diverged(`${where}: ${cause.message}`, cause);
      if (isOutOfMemory(cause)) {
        const { config, model } = this.#options;
        const wholeBatches = model.statistics.length > 0;
        throw outOfMemory(cause, { where, clips: Math.min(atOnce, clips.length), config, wholeBatches });
      }
      throw cause;
    }
  }

  /** Batch statistics are those of the clips that are computed at once: of whole batches. */
  #clipsAtOnce(): number {
    const { config, model } = this.#options;
    return model.statistics.length > 0 ? config.data.batchSize : config.training.clipsAtOnce;
  }

  async #validate(epoch: number, { signal, onEvent }: RunOptions): Promise<Readonly<Record<string, number>>> {
    this.#predictor ??= await this.#options.model.predictor();
    const { weights } = this.#options.model;
    this.#average?.exchange(weights);
    try {
      return await this.#options.validate(this.#predictor, {
        signal: this.#ranks.size === 1 ? signal : undefined, // ranks stop together
        onProgress: ({ done, total }) => onEvent?.({ kind: "validation", epoch, done, total }),
      });
    } finally {
      this.#average?.exchange(weights);
    }
  }

  #evaluationIsDue(epoch: number): boolean {
    const { evaluateFrom, evaluateEvery, epochs } = this.#options.config.training;
    if (epoch < evaluateFrom) return epoch === epochs - 1;
    return (epoch - evaluateFrom) % evaluateEvery === 0 || epoch === epochs - 1;
  }

  #selectionMetric(validation: Readonly<Record<string, number>>): number {
    const { miou = 0, fscore = 0 } = validation;
    return this.#options.config.training.selectBy === "miou" ? miou : (miou + fscore) / 2;
  }

  #learningRate(totalSteps: number): number {
    const { optimizer, schedule } = this.#options.config.training;
    return optimizer.learningRate * scheduleFactor(schedule, this.#progress.step, totalSteps);
  }

  #checkpointIsDue(): boolean {
    const { checkpointEverySeconds, checkpointEverySteps } = this.#options.config.training;
    if (checkpointEverySteps !== null && this.#progress.step % checkpointEverySteps === 0) return true;
    return performance.now() - this.#savedAt >= checkpointEverySeconds * 1000;
  }

  async #save(which: "last" | "best", { onEvent }: RunOptions): Promise<void> {
    if (this.#ranks.rank > 0) return;
    const { config, model } = this.#options;
    const changed = this.#changed();
    for (const [key, tensor] of changed) requireFinite(key, tensor);
    const averages = this.#average?.values;
    const file = this.#files[which];
    await this.#options.lock?.assertHeld();
    const isResumable = which === "last";
    const live = averages && new Map([...changed].filter(([key]) => averages.has(key)));
    await saveCheckpoint(file, {
      config,
      model: model.modelConfig,
      frozen: model.frozen,
      progress: this.#progress,
      parameters: new Map([...changed, ...(averages ?? [])]),
      optimizer: isResumable ? this.#optimizer.state() : undefined,
      live: isResumable ? live : undefined,
    });
    if (which === "last") this.#savedAt = performance.now();
    onEvent?.({ kind: "checkpoint", file });
  }

  /** Every weight that training has changed so far. */
  #changed(): StateDict {
    const { model } = this.#options;
    const { epoch, batch } = this.#progress;
    const out = new Map<string, Tensor>();
    const epochs = [0, batch > 0 ? epoch : Math.max(0, epoch - 1)];
    for (const key of [...epochs.flatMap((when) => model.trainedKeys(when)), ...model.statistics]) {
      const tensor = model.weights.get(key);
      if (tensor) out.set(key, tensor);
    }
    return out;
  }
}

function optimizerConfig({ training }: Config): Parameters<typeof createOptimizer>[0] {
  const { kind, betas, eps, momentum, nesterov, weightDecay } = training.optimizer;
  return kind === "sgd" ? { kind, momentum, nesterov, weightDecay } : { kind, betas, eps, weightDecay };
}
