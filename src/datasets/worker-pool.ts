/** Worker threads that decode clips, and errors that keep their class on the way back. */
import { DatasetError } from "../errors.js";
import { startThread, type Thread } from "../node/thread.js";
import type { ClipRequest } from "./avsbench/load-clip.js";
import type { Clip } from "./clip.js";
import type { WorkerAnswer, WorkerTask } from "./worker-protocol.js";

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
    const url = new URL("./loader-worker.js", import.meta.url);
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
