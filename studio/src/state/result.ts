/** What a model finds in a video, as it is computed. */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { Step } from "avseg/studio";
import { type Failure, failureOf } from "../engine/messages";

/** How far segmenting is. */
export type Status = "idle" | "running" | "done" | "canceled" | "failed";

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
  /** Names of the labels in its masks, by index. */
  labelNames: readonly string[] = [];
  /** Which model made it. */
  readonly madeBy = signal("");
  readonly #started = signal(0);
  readonly #elapsed = signal(0);
  #stop = new AbortController();

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

  /** Names of what was found, the most frequent first. */
  labels(): string[] {
    const counts = new Map<string, number>();
    for (const { mask } of this.steps) {
      for (const { label } of mask.regions) counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1]).map(([label]) => label);
  }

  /** Runs `work` in place of what was there; its steps are appended as they come. */
  async run(
    work: (options: {
      signal: AbortSignal;
      onProgress: (done: number, total: number | undefined) => void;
    }) => AsyncIterable<Step>,
    {
      madeBy,
      labelNames,
      totalSeconds,
    }: { madeBy: string; labelNames: readonly string[]; totalSeconds: number },
  ): Promise<void> {
    this.cancel();
    const stop = new AbortController();
    this.#stop = stop;
    const started = performance.now();
    batch(() => {
      this.steps.length = 0;
      this.labelNames = labelNames;
      this.count.value = 0;
      this.doneSeconds.value = 0;
      this.totalSeconds.value = totalSeconds;
      this.failure.value = undefined;
      this.madeBy.value = madeBy;
      this.#started.value = started;
      this.#elapsed.value = 0;
      this.status.value = "running";
    });
    const onProgress = (done: number, total: number | undefined): void => {
      if (stop.signal.aborted) return;
      this.doneSeconds.value = done;
      if (total !== undefined) this.totalSeconds.value = total;
    };
    try {
      for await (const step of work({ signal: stop.signal, onProgress })) {
        if (stop.signal.aborted) break;
        batch(() => {
          this.steps.push(step);
          this.count.value = this.steps.length;
          this.#elapsed.value = (performance.now() - started) / 1000;
        });
      }
      if (!stop.signal.aborted) this.status.value = "done";
    } catch (error) {
      if (stop.signal.aborted) return;
      batch(() => {
        this.failure.value = failureOf(error);
        this.status.value = "failed";
      });
    }
  }

  /** Stops the work; what is found stays. */
  cancel(): void {
    this.#stop.abort(new DOMException("canceled", "AbortError"));
    if (this.status.value === "running") this.status.value = "canceled";
  }
}
