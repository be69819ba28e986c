/**
 * One step on a batch: its clips are computed in parts, one after another and on several ranks, the gradients of the parts
 * are summed, and the weights follow. Every part is scaled to its fraction of the batch and draws by the position of
 * its clips, so that the sums are those of a batch computed at once.
 *
 * Sums are in double precision: those of a few numbers in single precision are exact, so that they do not depend on the
 * order. With parts of one clip, the weights have the same bits however the batch is split over ranks.
 */

import type { Clip } from "../datasets/clip.js";
import { type Ranks, rangeOf } from "../distributed/ranks.js";
import { DivergenceError } from "../errors.js";
import { clipGradients } from "../optim/clip-gradients.js";
import type { MovingAverage } from "../optim/moving-average.js";
import type { Optimizer } from "../optim/optimizers.js";
import { asF32, type StateDict, type TensorOf } from "../tensor.js";
import type { StepOutput, StepResult } from "./step.js";

/** Clips of a batch that are computed at once. */
export interface BatchPart {
  readonly clips: readonly Clip[];
  /** Clips of the batch before them. */
  readonly first: number;
  /** The part's fraction of the batch's clips, and of the frames that count. */
  readonly fractions: { readonly clips: number; readonly counted: number };
}

/** One compiled step over a fixed number of clips. */
export interface ClipStep {
  /** Loss and gradients of a part, as the part's contribution to the batch; `step` is the key of its random draws. */
  run(part: BatchPart, step: number): Promise<StepOutput>;
  close(): Promise<void>;
}

/** What stays the same from batch to batch. */
export interface BatchStepOptions {
  /** All weights by key; the trained ones and running statistics are changed in place. */
  readonly weights: StateDict;
  readonly ranks: Ranks;
  readonly optimizer: Optimizer;
  /** Largest norm of the gradients; see `clipGradients`. Default: no limit. */
  readonly clipNorm?: number | undefined;
  /** Follows the weights. Default: none. */
  readonly average?: MovingAverage | undefined;
  /** The step that computes `clips` clips at once. */
  readonly compiled: (clips: number) => Promise<ClipStep>;
  /** Frames of a clip that count in losses that are means over the frames with ground truth. */
  readonly countedFrames: (clip: Clip) => number;
  /** Parts that are started before the result of the first is used. Default: 1. */
  readonly ahead?: number | undefined;
}

/** One batch. */
export interface Batch {
  /** The clips that this rank computes. */
  readonly clips: readonly Clip[];
  /** Clips of the batch, on all ranks. */
  readonly total: number;
  /** Largest number of clips to compute at once. */
  readonly atOnce: number;
  /** Keys of the parameters that train. */
  readonly trained: readonly string[];
  /** Number of the step in the run, from 0. */
  readonly step: number;
  readonly learningRate: number;
}

/** Trains a batch at a time. */
export class BatchStep {
  readonly #options: BatchStepOptions;
  #sum: GradientSum | undefined;

  constructor(options: BatchStepOptions) {
    this.#options = options;
  }

  /**
   * Trains on a batch. All ranks must call it for the same batch. Throws `DivergenceError` when the loss is not finite;
   * no parameter is changed then.
   */
  async run(batch: Batch): Promise<StepResult> {
    const { ranks, countedFrames, weights } = this.#options;
    const { clips, total, atOnce, step } = batch;
    const countOf = (group: readonly Clip[]) => group.reduce((sum, clip) => sum + countedFrames(clip), 0);
    const counted = (await ranks.gather(countOf(clips))).reduce((sum: number, own) => sum + Number(own), 0);
    const { start } = rangeOf(ranks, total);
    const starts = Array.from({ length: Math.ceil(clips.length / atOnce) }, (_, i) => i * atOnce);
    const sum = this.#emptySum(batch.trained);
    const compute = async (at: number): Promise<StepOutput> => {
      const group = clips.slice(at, at + atOnce);
      const fractions = { clips: group.length / total, counted: countOf(group) / Math.max(1, counted) };
      const compiled = await this.#options.compiled(group.length);
      return compiled.run({ clips: group, first: start + at, fractions }, step);
    };
    let result: StepResult = { loss: 0, reports: {} };
    for await (const output of inOrder(starts, compute, this.#options.ahead ?? 1)) {
      result = addResults([result, output]);
      replaceStatistics(weights, output.statistics);
      sum.add(output.gradients);
      output.free();
    }
    if (ranks.size > 1) result = await this.#reduce(sum, result);
    if (!Number.isFinite(result.loss)) throw new DivergenceError(`the loss is ${result.loss}`);
    const norm = this.#update(batch, sum.gradients);
    return norm === undefined ? result : { ...result, reports: { ...result.reports, gradientNorm: norm } };
  }

  /** Sums gradients and results over all ranks. */
  async #reduce(sum: GradientSum, own: StepResult): Promise<StepResult> {
    const { ranks } = this.#options;
    const started = performance.now();
    // Every rank sends the same type.
    const { loss, reports } = addResults((await ranks.gather(own)) as StepResult[]);
    const waited = performance.now();
    await ranks.sum(sum.flat);
    const waitSeconds = (waited - started) / 1000;
    const reduceSeconds = (performance.now() - waited) / 1000;
    return { loss, reports: { ...reports, waitSeconds, reduceSeconds } };
  }

  /** Changes the trained parameters; returns the norm of the gradients where it is limited. */
  #update(batch: Batch, gradients: GradientUpdate["gradients"]): number | undefined {
    const { optimizer, clipNorm, average, weights } = this.#options;
    const norm = clipNorm === undefined ? undefined : clipGradients(gradients.values(), clipNorm);
    applyGradients({ weights, optimizer, gradients, ...batch });
    average?.update(weights, batch.trained, batch.step);
    return norm;
  }

  #emptySum(keys: readonly string[]): GradientSum {
    if (this.#sum?.keys !== keys) this.#sum = new GradientSum(keys, this.#options.weights);
    this.#sum.flat.fill(0);
    return this.#sum;
  }
}

/** Results of `compute` in the order of `items`, with up to `ahead` computations under way. */
async function* inOrder<T, R>(
  items: readonly T[],
  compute: (item: T) => Promise<R>,
  ahead: number,
): AsyncGenerator<R, void, undefined> {
  const underWay: Promise<R>[] = [];
  let next = 0;
  while (next < items.length || underWay.length > 0) {
    for (const item of items.slice(next, next + ahead - underWay.length)) {
      next++;
      const result = compute(item);
      // A failure is thrown when its turn comes; until then it must not be an unhandled rejection.
      result.catch(() => {});
      underWay.push(result);
    }
    const first = underWay.shift();
    if (first) yield await first;
  }
}

/** What a step changes, and by what. */
export interface GradientUpdate {
  readonly weights: StateDict;
  /** Keys of the parameters that train; one without a gradient only decays. */
  readonly trained: readonly string[];
  readonly gradients: ReadonlyMap<string, Float32Array | Float64Array>;
  readonly optimizer: Optimizer;
  readonly learningRate: number;
}

/** Changes weights in place by one step of the optimizer. */
export function applyGradients(update: GradientUpdate): void {
  const { weights, trained, gradients, optimizer, learningRate } = update;
  const trainables = trained.map((name) => {
    return { name, value: weightOf(weights, name), gradient: gradients.get(name) };
  });
  optimizer.step(trainables, learningRate);
}

/** Replaces running statistics by new ones, in place. */
export function replaceStatistics(weights: StateDict, statistics: StepOutput["statistics"]): void {
  for (const [key, now] of statistics) weightOf(weights, key).data.set(now);
}

/** Sums of gradients in one array, which crosses to other ranks at once. */
class GradientSum {
  readonly keys: readonly string[];
  readonly flat: Float64Array<ArrayBuffer>;
  /** Views of `flat` by parameter. */
  readonly gradients = new Map<string, Float64Array<ArrayBuffer>>();

  constructor(keys: readonly string[], weights: StateDict) {
    const sizes = keys.map((key) => weightOf(weights, key).data.length);
    this.keys = keys;
    this.flat = new Float64Array(sizes.reduce((a, b) => a + b, 0));
    let start = 0;
    for (const [i, key] of keys.entries()) {
      const size = sizes[i] ?? 0;
      this.gradients.set(key, this.flat.subarray(start, start + size));
      start += size;
    }
  }

  add(gradients: StepOutput["gradients"]): void {
    for (const [key, gradient] of gradients) {
      const sum = this.gradients.get(key);
      if (sum === undefined) throw new Error(`gradients: ${key} does not train`);
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (gradient[i] ?? 0);
    }
  }
}

/** Losses and reports of the parts of a batch, added. */
function addResults(parts: readonly StepResult[]): StepResult {
  const reports: Record<string, number> = {};
  let loss = 0;
  for (const part of parts) {
    loss += part.loss;
    for (const [name, value] of Object.entries(part.reports)) reports[name] = (reports[name] ?? 0) + value;
  }
  return { loss, reports };
}

function weightOf(weights: StateDict, key: string): TensorOf<"f32"> {
  const weight = weights.get(key);
  if (weight === undefined) throw new Error(`training: the model has no weight ${key}`);
  return asF32(weight, key);
}
