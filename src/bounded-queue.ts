/** Work handed from one loop to another, with a bound on how much may wait. */

/**
 * A queue between one producer and one consumer that run at the same time. `push` waits while the queue is full;
 * iterating waits while it is empty. When the consumer stops early, later items are dropped and `push` returns at once.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #capacity: number;
  readonly #items: T[] = [];
  #ended = false;
  #closed = false;
  #wakeProducer: (() => void) | undefined;
  #wakeConsumer: (() => void) | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Adds an item, once there is room. */
  async push(item: T): Promise<void> {
    while (this.#items.length >= this.#capacity && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wakeProducer = resolve;
      });
    }
    if (this.#closed) return;
    this.#items.push(item);
    this.#wakeConsumer?.();
  }

  /** No more items come: the consumer's loop ends after the last one. */
  end(): void {
    this.#ended = true;
    this.#wakeConsumer?.();
  }

  /** The items, in order; for one consumer. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) {
          this.#wakeProducer?.();
          yield item;
        } else if (this.#ended) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wakeConsumer = resolve;
          });
        }
      }
    } finally {
      this.#closed = true;
      this.#items.length = 0;
      this.#wakeProducer?.();
    }
  }
}

/** The items of `source`, with the next one being made while one is used. Leaving early ends `source`. */
export async function* readAhead<T>(
  source: AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const request = () => {
    const item = source.next();
    item.catch(() => undefined); // thrown when it is awaited
    return item;
  };
  let next = request();
  try {
    for (;;) {
      const item = await next;
      if (item.done) return;
      next = request();
      yield item.value;
    }
  } finally {
    await Promise.allSettled([next, source.return()]);
  }
}
