/** Worker threads that decode clips, and errors that keep their class on the way back. */
import { AvsegError, DatasetError } from "../errors.js";
import { startThread, type Thread } from "../thread.node.js";
import type { Clip } from "./clip.js";
import type { ClipRequest } from "./load-clip.node.js";

/** What a worker is sent. */
export interface WorkerTask {
  readonly number: number;
  readonly request: ClipRequest;
}

/** What a worker answers: the clip, or what went wrong. */
export type WorkerAnswer =
  | { readonly number: number; readonly clip: Clip }
  | {
      readonly number: number;
      readonly message: string;
      readonly hint: string | undefined;
      /** Whether a user can mend it; everything else is a bug and carries its stack. */
      readonly expected: boolean;
      readonly stack: string | undefined;
    };

/** The answer for a failure. */
export function answerFailure(number: number, error: unknown): WorkerAnswer {
  const known = error instanceof AvsegError;
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  return { number, message, hint: known ? error.hint : undefined, expected: known, stack };
}

function rebuild(answer: Exclude<WorkerAnswer, { clip: Clip }>): Error {
  if (answer.expected) {
    return new DatasetError(answer.message, answer.hint === undefined ? {} : { hint: answer.hint });
  }
  const error = new Error(answer.message);
  if (answer.stack !== undefined) error.stack = answer.stack;
  return error;
}

type Worker = Thread<WorkerTask>;

interface Waiting {
  readonly worker: Worker;
  readonly resolve: (clip: Clip) => void;
  readonly reject: (error: Error) => void;
}

/** A fixed number of workers, started when first needed. They do not keep the process alive while idle. */
export class WorkerPool {
  readonly #size: number;
  readonly #waiting = new Map<number, Waiting>();
  /** Workers and how many clips each has been asked for and not answered. */
  readonly #workers = new Map<Worker, number>();
  #next = 0;
  #closed = false;

  constructor(size: number) {
    this.#size = size;
  }

  /** Decodes a clip on the least busy worker. Rejects with `DatasetError`, or when the pool is closed. */
  load(request: ClipRequest): Promise<Clip> {
    if (this.#closed) return Promise.reject(new Error("loader: it has been closed"));
    const worker = this.#leastBusy();
    const number = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { worker, resolve, reject });
      this.#count(worker, 1);
      worker.post({ number, request });
    });
  }

  /** Ends all workers; nobody gets the clips that are being decoded. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true;
    const ended = [...this.#workers.keys()].map((worker) => worker.end());
    for (const { reject } of this.#waiting.values()) reject(new Error("loader: it has been closed"));
    this.#waiting.clear();
    this.#workers.clear();
    await Promise.all(ended);
  }

  #leastBusy(): Worker {
    const [best] = [...this.#workers].sort(([, a], [, b]) => a - b);
    if (best !== undefined && (best[1] === 0 || this.#workers.size >= this.#size)) return best[0];
    const url = new URL("./loader-worker.node.js", import.meta.url);
    const worker: Worker = startThread<WorkerTask, WorkerAnswer>("loader", url, undefined, {
      reply: (answer) => this.#receive(worker, answer),
      fail: (error) => this.#lose(worker, error),
    });
    this.#workers.set(worker, 0);
    return worker;
  }

  #receive(worker: Worker, answer: WorkerAnswer): void {
    const waiting = this.#waiting.get(answer.number);
    this.#waiting.delete(answer.number);
    if (this.#workers.has(worker)) this.#count(worker, -1);
    if ("clip" in answer) waiting?.resolve(answer.clip);
    else waiting?.reject(rebuild(answer));
  }

  /** A worker that died (out of memory, say) fails what it was doing; the next request starts another. */
  #lose(worker: Worker, error: Error): void {
    this.#workers.delete(worker);
    for (const [number, waiting] of this.#waiting) {
      if (waiting.worker !== worker) continue;
      this.#waiting.delete(number);
      waiting.reject(error);
    }
  }

  #count(worker: Worker, change: 1 | -1): void {
    const busy = (this.#workers.get(worker) ?? 0) + change;
    this.#workers.set(worker, busy);
    worker.busy(busy > 0);
  }
}
