/**
 * Data-parallel training as a simulation: in each step every rank computes its clips one after another, the slowest rank
 * decides, the gradients are summed around a ring, and every rank changes its weights.
 */
import { rangeOf } from "../../src/distributed/ranks.js";
import { Random } from "../../src/random.js";

/** What a task takes on one processor, as measured. Times are in seconds. */
export interface TaskConstants {
  /** Of one clip's forward and reverse pass, on one and on two threads. */
  readonly clipSeconds: { readonly one: number; readonly two: number };
  /** Of changing the weights once: it runs on one thread. */
  readonly updateSeconds: number;
  /** Opening the model, and the first step. */
  readonly openSeconds: number;
  readonly trainedParameters: number;
}

/** What trains. */
export interface TrainingModel extends TaskConstants {
  /** Standard deviation of a clip's time, as a fraction of it. */
  readonly deviation: number;
  readonly clips: number;
  readonly validationClips: number;
  readonly epochs: number;
  /** Epochs after which the model is evaluated. */
  readonly evaluations: number;
  /** Time of a forward pass over that of a clip's training step. */
  readonly forwardFraction: number;
  /** Clips of a batch, on all ranks. */
  readonly batchSize: number;
  readonly ranks: number;
  readonly threadsPerRank: number;
  /** Hosts that the ranks are spread over. */
  readonly hosts: number;
  readonly network: Network;
}

/** How gradients are summed. */
export interface Network {
  /** Between hosts. */
  readonly bytesPerSecond: number;
  readonly latencySeconds: number;
  /** Of a sum over ranks of one host, by the measured time of two. */
  readonly hostBytesPerSecond: number;
  /** Default: `ring`. */
  readonly sum?: SumWay | undefined;
}

/** `ring`: every rank passes parts on to the next. `tree`: all bytes up a binomial tree of ranks, and down again. */
export type SumWay = "ring" | "tree";

/** What comes out. */
export interface TrainingRun {
  readonly seconds: number;
  readonly stepSeconds: number;
  /** Fractions of a step: waiting for the slowest rank, and summing gradients. */
  readonly waiting: number;
  readonly reducing: number;
  readonly validationSeconds: number;
}

/**
 * Time of a clip on some threads: a part that threads share and a part that they do not (Amdahl), from the times on one
 * and two. Beyond two it is an extrapolation.
 */
export function clipSeconds({ clipSeconds: { one, two } }: TaskConstants, threads: number): number {
  const divided = Math.max(0, 2 * (one - two));
  return one - divided + divided / threads;
}

/**
 * Time of the sum of all gradients, in double precision. Around a ring, every one of N ranks sends and receives
 * 2 (N - 1) / N of the bytes in 2 (N - 1) messages, all at the same time; in a tree the bytes go through ceil(log2 N) links
 * one after another, twice. The slowest link decides, then the additions in the memory of a host follow.
 */
export function reduceSeconds(
  model: Pick<TrainingModel, "trainedParameters" | "ranks" | "hosts" | "network">,
): number {
  const { trainedParameters, ranks, network } = model;
  if (ranks === 1) return 0;
  const { sum = "ring", bytesPerSecond, latencySeconds, hostBytesPerSecond } = network;
  const messages = sum === "ring" ? 2 * (ranks - 1) : 2 * Math.ceil(Math.log2(ranks));
  const bytes = (messages * 8 * trainedParameters) / (sum === "ring" ? ranks : 1);
  // Two ranks pass all bytes twice in a tree, and once around a ring; the additions are those of one array in both.
  const adding = (sum === "ring" ? bytes : bytes / 2) / hostBytesPerSecond;
  return adding + (model.hosts > 1 ? bytes / bytesPerSecond + messages * latencySeconds : 0);
}

const simulatedSteps = 2000;

/** Simulates a run. Throws `RangeError` when there is nothing to train. */
export function simulateTraining(model: TrainingModel): TrainingRun {
  const { clips, batchSize, ranks, threadsPerRank, epochs, evaluations, validationClips } = model;
  if (clips < 1 || batchSize < 1 || ranks < 1) throw new RangeError("no clips, batches or ranks");
  const random = new Random(1);
  const each = clipSeconds(model, threadsPerRank);
  const reducing = reduceSeconds(model);
  const counts = Array.from({ length: ranks }, (_, rank) => {
    const { start, end } = rangeOf({ rank, size: ranks }, batchSize);
    return end - start;
  });
  let [computed, slowest] = [0, 0];
  for (let step = 0; step < simulatedSteps; step++) {
    const times = counts.map((count) => {
      let time = 0;
      for (let i = 0; i < count; i++) time += each * Math.max(0, 1 + model.deviation * random.normal());
      return time;
    });
    computed += times.reduce((a, b) => a + b, 0) / ranks / simulatedSteps;
    slowest += Math.max(...times) / simulatedSteps;
  }
  const stepSeconds = slowest + reducing + model.updateSeconds;
  const perRank = Math.ceil(validationClips / ranks);
  const validationSeconds = perRank * each * model.forwardFraction;
  const steps = Math.ceil(clips / batchSize) * epochs;
  return {
    seconds: model.openSeconds + steps * stepSeconds + evaluations * validationSeconds,
    stepSeconds,
    waiting: (slowest - computed) / stepSeconds,
    reducing: reducing / stepSeconds,
    validationSeconds,
  };
}
