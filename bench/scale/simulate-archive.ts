/**
 * An archive of videos as a discrete-event simulation: workers with slots take videos from a server that answers one
 * command after another, and share the cores of their machine while they compute.
 */

/** What is simulated. Times are in seconds. */
export interface ArchiveModel {
  readonly videos: number;
  /** Machines, each with one worker. */
  readonly workers: number;
  readonly slotsPerWorker: number;
  /** Cores that a worker's slots share. `Infinity`: slots do not slow each other down. */
  readonly coresPerWorker: number;
  /** Whether all workers run on one machine and share its cores. Default: `false`. */
  readonly oneMachine?: boolean | undefined;
  /** Other processes that compute on the same machine all the time, as they take their part of its cores. Default: 0. */
  readonly otherProcesses?: number | undefined;
  /** From the start of a worker until it can take videos, and the opening of a slot's model with the first video. */
  readonly startSeconds: number;
  readonly openSeconds: number;
  /** Processor time of a video. */
  readonly videoSeconds: (video: number) => number;
  /** Cores that one slot can keep busy: its decoders run beside the model. Default: 1. */
  readonly coresPerSlot?: number | undefined;
  /** Time that a video takes besides, in which no core is busy: waiting for the disk. */
  readonly waitSeconds: number;
  /** Time of the server's processor for a video, and for each slot per second (locks, progress, heartbeats). */
  readonly serverSecondsPerVideo: number;
  readonly serverSecondsPerSlotSecond: number;
}

/** What comes out. */
export interface ArchiveRun {
  /** Until the last video is finished. */
  readonly seconds: number;
  /** Fraction of the time in which the server was busy, and in which slots were. */
  readonly serverBusy: number;
  readonly slotsBusy: number;
}

/** A slot that computes: what is left to do, in seconds of the processor. */
interface Job {
  left: number;
}

type Happening = { readonly at: number; readonly act: () => void };

/** Runs the simulation. Throws `RangeError` when there is nothing to simulate. */
export function simulateArchive(model: ArchiveModel): ArchiveRun {
  const { videos, workers, slotsPerWorker, oneMachine = false, otherProcesses = 0 } = model;
  if (videos < 1 || workers < 1 || slotsPerWorker < 1) throw new RangeError("no videos, workers or slots");
  const happenings = new Heap();
  const machines = Array.from(
    { length: oneMachine ? 1 : workers },
    () =>
      new Machine(happenings, {
        cores: model.coresPerWorker,
        coresPerJob: model.coresPerSlot ?? 1,
        otherProcesses,
      }),
  );
  // Commands of slots at work come evenly; they take their part of the server beside the videos' own.
  const background = model.serverSecondsPerSlotSecond * workers * slotsPerWorker;
  if (background >= 1) return { seconds: Number.POSITIVE_INFINITY, serverBusy: 1, slotsBusy: 0 };
  const serverSeconds = model.serverSecondsPerVideo / (1 - background);
  let [now, taken, finished, serverFree, serverTime, slotTime] = [0, 0, 0, 0, 0, 0];

  const take = (machine: Machine, opening: number): void => {
    if (taken === videos) return;
    const video = taken++;
    const started = now;
    const answered = Math.max(now, serverFree) + serverSeconds;
    serverFree = answered;
    serverTime += model.serverSecondsPerVideo;
    happenings.push(answered, () => {
      machine.compute(now, opening + model.videoSeconds(video), () => {
        happenings.push(now + model.waitSeconds, () => {
          finished++;
          slotTime += now - started;
          take(machine, 0);
        });
      });
    });
  };

  for (let worker = 0; worker < workers; worker++) {
    const machine = machines[oneMachine ? 0 : worker];
    for (let slot = 0; machine !== undefined && slot < slotsPerWorker; slot++) {
      happenings.push(model.startSeconds, () => take(machine, model.openSeconds));
    }
  }
  while (finished < videos) {
    const next = happenings.pop();
    if (next === undefined) throw new Error("the simulation stands still");
    now = next.at;
    next.act();
  }
  const slots = workers * slotsPerWorker;
  return { seconds: now, serverBusy: serverTime / now + background, slotsBusy: slotTime / (slots * now) };
}

interface MachineOptions {
  readonly cores: number;
  /** Cores that a job keeps busy where it can have them. */
  readonly coresPerJob: number;
  readonly otherProcesses: number;
}

/** A machine whose cores are shared equally by the threads that compute: each has at most one, and less when they are more. */
class Machine {
  readonly #happenings: Heap;
  readonly #options: MachineOptions;
  readonly #jobs = new Map<Job, () => void>();
  #updated = 0;
  #generation = 0;

  constructor(happenings: Heap, options: MachineOptions) {
    this.#happenings = happenings;
    this.#options = options;
  }

  /** Calls `done` once `seconds` of the processor were spent on it. */
  compute(now: number, seconds: number, done: () => void): void {
    this.#advance(now);
    this.#jobs.set({ left: seconds }, done);
    this.#plan(now);
  }

  /** Processor seconds per second that each job gets. */
  #speed(): number {
    const { cores, coresPerJob, otherProcesses } = this.#options;
    const threads = this.#jobs.size * coresPerJob + otherProcesses;
    return coresPerJob * Math.min(1, cores / threads);
  }

  #advance(now: number): void {
    const spent = (now - this.#updated) * this.#speed();
    for (const job of this.#jobs.keys()) job.left -= spent;
    this.#updated = now;
  }

  /** Plans the next end; an earlier plan is void. */
  #plan(now: number): void {
    const generation = ++this.#generation;
    const left = Math.min(...[...this.#jobs.keys()].map((job) => job.left));
    if (left === Number.POSITIVE_INFINITY) return;
    this.#happenings.push(now + Math.max(0, left) / this.#speed(), () => this.#end(generation));
  }

  #end(generation: number): void {
    if (generation !== this.#generation) return;
    const now = this.#happenings.now;
    this.#advance(now);
    const ended = [...this.#jobs].filter(([job]) => job.left <= 1e-9);
    for (const [job] of ended) this.#jobs.delete(job);
    this.#plan(now);
    for (const [, done] of ended) done();
  }
}

/** Happenings in the order of their times; those of the same time in the order in which they were planned. */
class Heap {
  readonly #items: (Happening & { readonly order: number })[] = [];
  #order = 0;
  /** The time of the latest that was taken. */
  now = 0;

  push(at: number, act: () => void): void {
    const items = this.#items;
    items.push({ at, act, order: this.#order++ });
    for (let i = items.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!this.#before(i, parent)) break;
      this.#swap(i, parent);
      i = parent;
    }
  }

  pop(): Happening | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (first === undefined || last === undefined) return undefined;
    this.now = first.at;
    if (items.length === 0) return first;
    items[0] = last;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < items.length && this.#before(child, least)) least = child;
      }
      if (least === i) return first;
      this.#swap(i, least);
      i = least;
    }
  }

  #before(i: number, j: number): boolean {
    const [a, b] = [this.#items[i]!, this.#items[j]!];
    return a.at === b.at ? a.order < b.order : a.at < b.at;
  }

  #swap(i: number, j: number): void {
    const items = this.#items;
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
}
