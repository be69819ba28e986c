/** A worker: takes videos from an archive and segments them, several at a time. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { UnrecoverableError, WaitingError, Worker } from "bullmq";
import { ArchiveError } from "../errors.js";
import type { RuntimeOptions } from "../runtime/runtime.js";
import {
  type Archive,
  type ArchiveJob,
  keyPrefix,
  type VideoJob,
  type VideoOutcome,
  type VideoProgress,
} from "./archive.js";
import { failureText } from "./failures.js";
import { Heart } from "./heart.js";
import type { Plan } from "./plan.js";
import { discardPartial, partialResult, publishResult, resultFolder } from "./results.js";
import { Slot, SlotFailure, type SlotLimits, type SlotRun, type VideoSlot } from "./slot.js";

/** Something that happened to a video. */
export type WorkEvent =
  | { readonly type: "started"; readonly video: string; readonly attempt: number }
  | { readonly type: "finished"; readonly video: string; readonly folder: string; readonly run: SlotRun }
  /** It was finished by an earlier run, or by another worker while this one was cut off. */
  | { readonly type: "already"; readonly video: string; readonly folder: string }
  | {
      readonly type: "failed";
      readonly video: string;
      readonly failure: SlotFailure;
      readonly final: boolean;
    }
  /** It waits for another worker, and this one ends. */
  | { readonly type: "returned"; readonly video: string }
  /** A worker that died had it. */
  | { readonly type: "taken over"; readonly key: string }
  | { readonly type: "trouble"; readonly message: string };

/** Options of `work`. */
export interface WorkOptions {
  /** Videos at a time; each has a process with a model of its own. */
  readonly concurrency: number;
  readonly limits: SlotLimits;
  /** How each model runs. */
  readonly runtime: RuntimeOptions;
  /** The model on this machine, where it lies elsewhere than on the one that added the videos. */
  readonly checkpoint?: string | undefined;
  /** A video whose worker has been silent for so long is given to another. Default: 30. */
  readonly takeOverSeconds?: number | undefined;
  /** Pause before a failed video is tried again; doubled each time. Default: 10. */
  readonly retrySeconds?: number | undefined;
  /** Whether to end when no video waits or runs anywhere. Default: work until `signal` aborts. */
  readonly untilEmpty?: boolean | undefined;
  /** Ends the worker after the videos that it has begun. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: WorkEvent) => void) | undefined;
  /** Makes what segments videos. Default: a `Slot` with the limits. */
  readonly createSlot?: ((limits: SlotLimits) => VideoSlot) | undefined;
}

/** What a worker did. */
export interface WorkSummary {
  readonly finished: number;
  readonly failed: number;
}

/** A video is only given up after so many workers died over it: most die for reasons of their own. */
const maxTakeOvers = 20;
/** So many videos in a row that are not found are a folder that this machine lacks, not deleted files. */
const maxMissingInARow = 5;
/** How often the end of the work is looked for. */
const checkMs = 1000;

/**
 * Works until the signal aborts (or, with `untilEmpty`, nothing is left), and lets begun videos finish. Throws what is
 * wrong with this machine (`CheckpointError`, `OutputError`, `MediaError` without ffmpeg, `ArchiveError` where the videos
 * cannot be found); the videos it had then wait for other workers.
 */
export async function work(archive: Archive, options: WorkOptions): Promise<WorkSummary> {
  const crew = new Crew(archive, options);
  return crew.run();
}

class Crew {
  readonly #archive: Archive;
  readonly #options: WorkOptions;
  readonly #name = `${hostname()}-${process.pid}-${randomBytes(3).toString("hex")}`;
  readonly #slots: VideoSlot[];
  readonly #free: VideoSlot[];
  readonly #heart: Heart;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #plans = new Map<string, Plan>();
  #fatal: unknown;
  #missingInARow = 0;
  #finished = 0;
  #failed = 0;

  constructor(archive: Archive, options: WorkOptions) {
    this.#archive = archive;
    this.#options = options;
    const { concurrency, limits, createSlot = (own) => new Slot(own) } = options;
    this.#slots = Array.from({ length: concurrency }, () => createSlot(limits));
    this.#free = [...this.#slots];
    this.#heart = new Heart(archive, { name: this.#name, slots: options.concurrency });
    const { signal } = options;
    this.#signal = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
  }

  async run(): Promise<WorkSummary> {
    const { takeOverSeconds = 30, retrySeconds = 10, concurrency } = this.#options;
    const lockDuration = takeOverSeconds * 1000;
    const worker = new Worker<VideoJob, VideoOutcome>(
      this.#archive.name,
      (job: ArchiveJob) => this.#process(job),
      {
        connection: this.#archive.client,
        prefix: keyPrefix,
        name: this.#name,
        concurrency,
        lockDuration,
        stalledInterval: lockDuration / 2,
        maxStalledCount: maxTakeOvers,
        runRetryDelay: 1000,
        metrics: { maxDataPoints: 60 },
        settings: { backoffStrategy: (attempt) => retrySeconds * 1000 * 2 ** (attempt - 1) },
      },
    );
    worker.on("error", (error) => this.#onTrouble(error));
    worker.on("stalled", (key) => this.#emit({ type: "taken over", key }));
    await worker.waitUntilReady();
    this.#heart.start();
    try {
      await this.#ended();
      await worker.close();
    } finally {
      await Promise.all(this.#slots.map((slot) => slot.close()));
      await this.#heart.stop();
    }
    if (this.#fatal !== undefined) throw this.#fatal;
    return { finished: this.#finished, failed: this.#failed };
  }

  /** Waits until this worker is to end. */
  async #ended(): Promise<void> {
    const { queue } = this.#archive;
    while (!this.#signal.aborted) {
      await sleep(checkMs, undefined, { signal: this.#signal }).catch(() => undefined);
      if (!this.#options.untilEmpty) continue;
      const counts = await queue.getJobCounts("waiting", "active", "delayed");
      if (Object.values(counts).every((count) => count === 0)) return;
    }
  }

  #emit(event: WorkEvent): void {
    this.#options.onEvent?.(event);
  }

  /** Other errors of BullMQ: a lost connection, which `onConnection` reports, or a lock that another worker took. */
  #onTrouble({ message }: Error): void {
    if (/lock|not in the active state|Missing key/i.test(message)) {
      this.#emit({
        type: "trouble",
        message: "a video was given to another worker, as this one was cut off",
      });
    }
  }

  async #planOf(id: string): Promise<Plan> {
    const known = this.#plans.get(id);
    if (known) return known;
    for (const [key, plan] of await this.#archive.plans()) this.#plans.set(key, plan);
    const plan = this.#plans.get(id);
    if (plan) return plan;
    throw new ArchiveError(`the archive has lost the plan ${id} of its videos`, {
      hint: "Add the videos again with the same options.",
    });
  }

  async #process(job: ArchiveJob): Promise<VideoOutcome> {
    const { video } = job.data;
    const slot = this.#free.pop();
    if (slot === undefined) throw new Error("more videos than slots");
    this.#heart.begin();
    try {
      this.#emit({ type: "started", video, attempt: job.attemptsMade + 1 });
      const outcome = await this.#segment(job, slot);
      this.#missingInARow = 0;
      this.#finished++;
      this.#heart.finished(outcome.steps);
      return outcome;
    } catch (error) {
      throw await this.#judge(job, error);
    } finally {
      this.#free.push(slot);
      this.#heart.end();
    }
  }

  async #segment(job: ArchiveJob, slot: VideoSlot): Promise<VideoOutcome> {
    const { video, sha256, bytes, plan: planId } = job.data;
    const key = job.id ?? "";
    const plan = await this.#planOf(planId);
    const folder = resultFolder(plan.out, key);
    if (existsSync(folder)) {
      this.#emit({ type: "already", video, folder });
      return { steps: 0, before: true };
    }
    const { checkpoint, runtime } = this.#options;
    const partial = await partialResult(plan.out, key);
    try {
      const run = await slot.run(
        { video, sha256, planId, plan, folder: partial, checkpoint, runtime },
        this.#reporter(job),
      );
      const record = {
        format: "avseg-archive",
        version: 1,
        video,
        sha256,
        bytes,
        plan: planId,
        modelSha256: plan.checkpoint.sha256,
        modelDescription: run.modelDescription,
        steps: run.steps,
        soundingSteps: run.soundingSteps,
        seconds: Math.round(run.seconds * 1000) / 1000,
        peakMemoryBytes: run.peakMemoryBytes,
        worker: this.#name,
        finishedAt: new Date().toISOString(),
      } as const;
      const first = await publishResult(partial, { out: plan.out, key, record });
      this.#emit(first ? { type: "finished", video, folder, run } : { type: "already", video, folder });
      return { steps: run.steps, before: !first };
    } finally {
      await discardPartial(partial);
    }
  }

  /** Reports a video's progress; while the server is away, reports are left out. */
  #reporter(job: ArchiveJob): (done: number, total: number | undefined) => void {
    let pending = false;
    const settled = (): void => {
      pending = false;
    };
    return (done, total) => {
      if (pending) return;
      pending = true;
      const progress: VideoProgress = { done, total: total ?? null, worker: this.#name };
      job.updateProgress({ ...progress }).then(settled, settled);
    };
  }

  /** What a failure means for the video and for this worker: the error by which the queue knows. */
  async #judge(job: ArchiveJob, error: unknown): Promise<Error> {
    const { video } = job.data;
    const failure =
      error instanceof SlotFailure
        ? error
        : new SlotFailure("environment", error instanceof Error ? error.message : String(error), {
            cause: error,
          });
    this.#missingInARow = failure.kind === "missing" ? this.#missingInARow + 1 : 0;
    if (failure.kind === "environment") this.#end(failure.cause ?? failure);
    if (this.#missingInARow >= maxMissingInARow) this.#end(notFoundHere(video));
    // A signal may reach decoders before it reaches this process, so what fails now says nothing of the video.
    if (this.#fatal !== undefined || this.#options.signal?.aborted) {
      await job.moveToWait(job.token ?? "");
      this.#emit({ type: "returned", video });
      return new WaitingError();
    }
    const final = failure.kind === "input" || job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
    if (final) this.#failed++;
    this.#emit({ type: "failed", video, failure, final });
    const text = failureText(failure);
    return final ? new UnrecoverableError(text) : new Error(text);
  }

  #end(reason: unknown): void {
    this.#fatal ??= reason;
    this.#stop.abort();
  }
}

function notFoundHere(video: string): ArchiveError {
  return new ArchiveError(
    `${maxMissingInARow} videos in a row were not found on this machine, the last ${video}`,
    {
      hint: "Mount the folder of the videos under the same path as where they were added, and start the worker again.",
    },
  );
}
