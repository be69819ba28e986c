/** Batches of clips in a reproducible order, decoded ahead of their use. */
import os from "node:os";
import { hashText, Random } from "../random.js";
import { type AvsDataset, type Clip, tensorsOf } from "./clip.js";
import { WorkerPool } from "./worker-pool.js";

/** Options of a `ClipLoader`. */
export interface LoaderOptions {
  /** Determines the order of every epoch. Default: 123. */
  readonly seed?: number | undefined;
  /** Decoding threads; 0 decodes on the calling thread. Default: one less than the number of cores, 1 to 4. */
  readonly workers?: number | undefined;
  /** Batches decoded ahead of the current one. Default: 2. */
  readonly prefetch?: number | undefined;
  /** Memory for decoded clips, which later epochs do not decode again. Default: 512 MiB. */
  readonly cacheBytes?: number | undefined;
}

/** Options of `ClipLoader.batches`. */
export interface BatchOptions {
  /** Number of the epoch; epochs differ in their order. Default: 0. */
  readonly epoch?: number | undefined;
  readonly batchSize: number;
  /** Skips this many batches without decoding them, to resume a run. Default: 0. */
  readonly startBatch?: number | undefined;
  /** Ends before this batch. Default: the number of batches. */
  readonly endBatch?: number | undefined;
  /** Random order. Default: false, the order of the dataset. */
  readonly shuffle?: boolean | undefined;
  /** Omits a last batch of fewer clips. Default: false. */
  readonly dropLast?: boolean | undefined;
  /** The positions to load, of a batch of `count` clips: those of one of several processes. Default: all. */
  readonly range?: ((count: number) => { readonly start: number; readonly end: number }) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads the clips of one dataset in batches. Epochs may share clips: do not modify them.
 *
 * @example
 * const loader = new ClipLoader(dataset);
 * for await (const clips of loader.batches({ batchSize: 4, shuffle: true, epoch: 0 })) await train(clips);
 * await loader.close();
 */
export class ClipLoader {
  readonly #dataset: AvsDataset;
  readonly #seed: number;
  readonly #prefetch: number;
  readonly #pool: WorkerPool | undefined;
  readonly #cache = new Map<number, Promise<Clip>>();
  #cacheRoom: number;

  constructor(dataset: AvsDataset, options: LoaderOptions = {}) {
    const workers = options.workers ?? Math.min(4, Math.max(1, os.availableParallelism() - 1));
    this.#dataset = dataset;
    this.#seed = options.seed ?? 123;
    this.#prefetch = options.prefetch ?? 2;
    this.#cacheRoom = options.cacheBytes ?? 512 * 2 ** 20;
    this.#pool = workers > 0 ? new WorkerPool(workers) : undefined;
  }

  /** Number of clips. */
  get length(): number {
    return this.#dataset.entries.length;
  }

  /** Number of batches in an epoch. */
  batchCount({ batchSize, dropLast = false }: Pick<BatchOptions, "batchSize" | "dropLast">): number {
    return dropLast ? Math.floor(this.length / batchSize) : Math.ceil(this.length / batchSize);
  }

  /** Indices of the clips in the order of an epoch: a function of the seed and the epoch only. */
  order({ epoch = 0, shuffle = false }: Pick<BatchOptions, "epoch" | "shuffle"> = {}): number[] {
    if (!shuffle) return Array.from({ length: this.length }, (_, i) => i);
    return new Random(this.#seed, hashText("clip order"), epoch).permutation(this.length);
  }

  /**
   * The batches of an epoch. Throws `DatasetError` at the batch whose clip cannot be decoded, `RangeError` for a batch
   * size below 1, and the signal's reason when aborted.
   */
  async *batches(options: BatchOptions): AsyncGenerator<Clip[], void, undefined> {
    const { batchSize, startBatch = 0, signal, range } = options;
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new RangeError(`loader: expected a batch size of at least 1, got ${batchSize}`);
    }
    const order = this.order(options);
    const count = Math.min(this.batchCount(options), options.endBatch ?? Infinity);
    const underWay: Promise<Clip[]>[] = [];
    let next = startBatch;
    for (let batch = startBatch; batch < count; batch++) {
      signal?.throwIfAborted();
      while (next < count && underWay.length <= this.#prefetch) {
        const start = next++ * batchSize;
        const batchOrder = order.slice(start, start + batchSize);
        const { start: from, end } = range?.(batchOrder.length) ?? { start: 0, end: batchSize };
        const clips = Promise.all(batchOrder.slice(from, end).map((index) => this.load(index)));
        // A failure is thrown when its batch is due; until then it must not be an unhandled rejection.
        clips.catch(() => {});
        underWay.push(clips);
      }
      yield await unlessAborted(underWay.shift() as Promise<Clip[]>, signal);
    }
  }

  /** One clip, from the cache if possible. Throws `DatasetError`. */
  load(index: number): Promise<Clip> {
    const cached = this.#cache.get(index);
    if (cached !== undefined) return cached;
    const pool = this.#pool;
    const clip = this.#dataset.load(index, pool && ((request) => pool.load(request)));
    return this.#cached(index, clip);
  }

  /** Ends the decoding threads and clears the cache. */
  async close(): Promise<void> {
    this.#cache.clear();
    await this.#pool?.close();
  }

  /** Caches a clip while there is room. The first clips stay, because each clip is needed once per epoch. */
  #cached(index: number, loading: Promise<Clip>): Promise<Clip> {
    if (this.#cacheRoom <= 0) return loading;
    this.#cache.set(index, loading);
    loading.then(
      (clip) => {
        const bytes = tensorsOf(clip).reduce((sum, { data }) => sum + data.byteLength, 0);
        if (bytes <= this.#cacheRoom) this.#cacheRoom -= bytes;
        else this.#cache.delete(index);
      },
      () => this.#cache.delete(index),
    );
    return loading;
  }
}

/** Waits for `work` until the signal aborts. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
