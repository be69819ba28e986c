/** Worker threads that decode clips. */
import { moduleUrl } from "../node/paths.js";
import { startThread, type Thread } from "../node/thread.js";
import { deserializeError } from "../serialize-error.js";
import type { ClipRequest } from "./avsbench/clip-request.js";
import type { Clip } from "./clip.js";
import type { WorkerAnswer, WorkerTask } from "./worker-protocol.js";

type DecodeThread = Thread<WorkerTask>;

interface Waiting {
  readonly worker: DecodeThread;
  readonly resolve: (clip: Clip) => void;
  readonly reject: (error: Error) => void;
}

/** Up to a fixed number of decoding threads, started on demand. Idle threads do not keep the process alive. */
export class WorkerPool {
  readonly #size: number;
  readonly #waiting = new Map<number, Waiting>();
  /** Threads and the number of clips that each is decoding. */
  readonly #workers = new Map<DecodeThread, number>();
  #next = 0;
  #closed = false;

  constructor(size: number) {
    this.#size = size;
  }

  /** Decodes a clip on the least busy thread. Rejects with what `loadClip` throws, or when the pool is closed. */
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

  /** Ends all threads; requests under way are rejected. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true;
    const ended = [...this.#workers.keys()].map((worker) => worker.end());
    for (const { reject } of this.#waiting.values()) reject(new Error("loader: it has been closed"));
    this.#waiting.clear();
    this.#workers.clear();
    await Promise.all(ended);
  }

  #leastBusy(): DecodeThread {
    const [best] = [...this.#workers].sort(([, a], [, b]) => a - b);
    if (best !== undefined && (best[1] === 0 || this.#workers.size >= this.#size)) return best[0];
    const url = moduleUrl("datasets/loader-worker.js");
    const worker: DecodeThread = startThread<WorkerTask, WorkerAnswer>(url, {
      name: "loader",
      reply: (answer) => this.#receive(worker, answer),
      fail: (error) => this.#lose(worker, error),
    });
    this.#workers.set(worker, 0);
    return worker;
  }

  #receive(worker: DecodeThread, answer: WorkerAnswer): void {
    const waiting = this.#waiting.get(answer.number);
    this.#waiting.delete(answer.number);
    if (this.#workers.has(worker)) this.#count(worker, -1);
    if ("clip" in answer) waiting?.resolve(answer.clip);
    else waiting?.reject(deserializeError(answer.error));
  }

  /** The requests of a thread that died (e.g. out of memory) are rejected; the next request starts another thread. */
  #lose(worker: DecodeThread, error: Error): void {
    this.#workers.delete(worker);
    for (const [number, waiting] of this.#waiting) {
      if (waiting.worker !== worker) continue;
      this.#waiting.delete(number);
      waiting.reject(error);
    }
  }

  #count(worker: DecodeThread, change: 1 | -1): void {
    const busy = (this.#workers.get(worker) ?? 0) + change;
    this.#workers.set(worker, busy);
    worker.busy(busy > 0);
  }
}
