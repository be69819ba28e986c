/** Requests to a worker and their answers. */
import { EngineError, type FromWorker, type ToWorker, type Work } from "./messages";

/** An answer other than progress, which goes to its callback. */
export type Answer = Exclude<FromWorker, { kind: "progress" }>;

/** A request without its number. */
export type Request = ToWorker extends infer T ? (T extends { id: number } ? Omit<T, "id"> : never) : never;

/** Answers to one request, as they come. */
class Answers {
  readonly #waiting: Answer[] = [];
  #wake: (() => void) | undefined;

  push(answer: Answer): void {
    this.#waiting.push(answer);
    this.#wake?.();
  }

  async next(): Promise<Answer> {
    for (;;) {
      const answer = this.#waiting.shift();
      if (answer) return answer;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** A worker of the app: one script does the models' and the media files' work, in a worker each. */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #open = new Map<number, { answers: Answers; work: Work }>();
  #lastId = 0;

  constructor() {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      const request = this.#open.get(data.id);
      if (data.kind === "progress") request?.work.onProgress?.(data.done, data.total);
      else request?.answers.push(data);
    };
    this.#worker.onerror = (event) => {
      const failure = {
        message: `The engine could not start: ${event.message || "its script did not load"}`,
        hint: "Reload the page.",
      };
      for (const [id, { answers }] of this.#open) answers.push({ kind: "failed", id, failure });
    };
  }

  /** Asks, and yields the answers; leaving early cancels the work. Throws what failed, or the signal's reason. */
  async *ask(request: Request, work: Work): AsyncGenerator<Answer, void, undefined> {
    work.signal?.throwIfAborted();
    const id = ++this.#lastId;
    const answers = new Answers();
    this.#open.set(id, { answers, work });
    const cancel = (): void => this.#worker.postMessage({ kind: "cancel", id } satisfies ToWorker);
    work.signal?.addEventListener("abort", cancel);
    let ended = false;
    try {
      this.#worker.postMessage({ ...request, id });
      while (!ended) {
        const answer = await answers.next();
        ended = answer.kind === "done" || answer.kind === "failed";
        if (answer.kind === "failed") {
          work.signal?.throwIfAborted();
          throw new EngineError(answer.failure);
        }
        yield answer;
      }
    } finally {
      if (!ended) cancel();
      work.signal?.removeEventListener("abort", cancel);
      this.#open.delete(id);
    }
  }
}
