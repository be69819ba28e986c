/** What a model finds in a video, as it is computed. */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import { labelNames, type ModelFacts, type Step } from "avseg/studio";
import { type Failure, failureOf, type Work } from "../engine/messages";
import { type Place, takeTurn } from "./queue";

/** How far segmenting is; `waiting` while other work is before it. */
export type Status = "idle" | "waiting" | "running" | "done" | "canceled" | "failed";

/** What segments a video, as it is found when its turn comes. */
export interface Job {
  readonly madeBy: string;
  readonly model: ModelFacts;
  readonly totalSeconds: number;
  steps(work: Work): AsyncIterable<Step>;
}

/** Segmented seconds and the work that makes them. */
export class Result {
  readonly status = signal<Status>("idle");
  /** Seconds of video, done and to be done. */
  readonly doneSeconds = signal(0);
  readonly totalSeconds = signal<number | undefined>(undefined);
  readonly failure = signal<Failure | undefined>(undefined);
  /** The length of `steps`: they are appended to, so that half an hour is never copied. */
  readonly count = signal(0);
  readonly steps: Step[] = [];
  /** Which model made it. */
  readonly madeBy = signal("");
  /** The same model; `undefined` before the first. */
  model: ModelFacts | undefined;
  readonly #elapsed = signal(0);
  #stop = new AbortController();
  /** Forgets a job that has not begun. */
  #leave = (): void => undefined;

  /** Seconds until it is finished; `undefined` where that is not known. */
  readonly remainingSeconds: ReadonlySignal<number | undefined> = computed(() => {
    const total = this.totalSeconds.value;
    const done = this.doneSeconds.value;
    if (total === undefined || done === 0) return undefined;
    return (this.#elapsed.value / done) * Math.max(0, total - done);
  });

  /** Seconds of video per second. */
  readonly speed: ReadonlySignal<number> = computed(() =>
    this.#elapsed.value > 0 ? this.doneSeconds.value / this.#elapsed.value : 0,
  );

  /** Names of the labels in its masks, by index. */
  get labelNames(): readonly string[] {
    return this.model ? labelNames(this.model.classes) : [];
  }

  /** Names of what was found, the most frequent first. */
  labels(): string[] {
    const counts = new Map<string, number>();
    for (const { mask } of this.steps) {
      for (const { label } of mask.regions) counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1]).map(([label]) => label);
  }

  /**
   * Runs a job in place of what was there; its steps are appended as they come. `begin` is called when it is this
   * result's turn, which `place` asks for; without one, it begins at once.
   */
  async run(
    begin: () => Promise<Job>,
    { totalSeconds, place }: { readonly totalSeconds: number | undefined; readonly place: Place | undefined },
  ): Promise<void> {
    this.cancel();
    const stop = new AbortController();
    const { signal: stopped } = stop;
    this.#stop = stop;
    const [status, total, failure] = [this.status.value, this.totalSeconds.value, this.failure.value];
    this.#leave = () => {
      this.status.value = status;
      this.totalSeconds.value = total;
      this.failure.value = failure;
    };
    batch(() => {
      this.status.value = "waiting";
      this.totalSeconds.value = totalSeconds;
      this.failure.value = undefined;
    });
    let end = (): void => undefined;
    try {
      if (place) end = await takeTurn(this, { signal: stopped, place });
      const job = await begin();
      stopped.throwIfAborted();
      await this.#work(job, stopped);
      if (!stopped.aborted) this.status.value = "done";
    } catch (error) {
      if (stopped.aborted) return;
      batch(() => {
        this.failure.value = failureOf(error);
        this.status.value = "failed";
      });
    } finally {
      end();
    }
  }

  async #work(job: Job, stopped: AbortSignal): Promise<void> {
    const started = performance.now();
    batch(() => {
      this.steps.length = 0;
      this.model = job.model;
      this.count.value = 0;
      this.doneSeconds.value = 0;
      this.totalSeconds.value = job.totalSeconds;
      this.madeBy.value = job.madeBy;
      this.#elapsed.value = 0;
      this.status.value = "running";
    });
    const onProgress = (done: number, total: number | undefined): void => {
      if (stopped.aborted) return;
      this.doneSeconds.value = done;
      if (total !== undefined) this.totalSeconds.value = total;
    };
    for await (const step of job.steps({ signal: stopped, onProgress })) {
      if (stopped.aborted) break;
      batch(() => {
        this.steps.push(step);
        this.count.value = this.steps.length;
        this.#elapsed.value = (performance.now() - started) / 1000;
      });
    }
  }

  /** Stops the work; what is found stays. */
  cancel(): void {
    this.#stop.abort(new DOMException("canceled", "AbortError"));
    const status = this.status.value;
    if (status === "running") this.status.value = "canceled";
    if (status === "waiting") batch(this.#leave);
  }
}
