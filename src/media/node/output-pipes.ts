/** The pipes that one process writes to, read together. */
import type { Readable } from "node:stream";

interface Pipe {
  readonly stream: Readable;
  readonly chunks: Buffer[];
  ended: boolean;
  /** Whether chunks are thrown away because nobody reads them. */
  discarded: boolean;
  wake: (() => void) | undefined;
}

/**
 * Reads several pipes of one process without deadlock: while a reader waits for one of them, all are read and what comes
 * from the others is kept; while no reader waits, none is read and the process blocks. So memory holds what the process
 * wrote to the other pipes between two chunks of the one that was waited for.
 */
export class OutputPipes {
  readonly #pipes: ReadonlyMap<number, Pipe>;
  #waiting = 0;

  /** `streams` by file descriptor. */
  constructor(streams: ReadonlyMap<number, Readable>) {
    this.#pipes = new Map(
      [...streams].map(([fd, stream]) => [
        fd,
        { stream, chunks: [], ended: false, discarded: false, wake: undefined },
      ]),
    );
    for (const pipe of this.#pipes.values()) {
      const end = () => {
        pipe.ended = true;
        pipe.wake?.();
      };
      pipe.stream
        .on("data", (chunk: Buffer) => {
          if (pipe.discarded) return;
          pipe.chunks.push(chunk);
          pipe.wake?.();
        })
        .on("end", end)
        .on("close", end)
        .on("error", end)
        .pause();
    }
  }

  /** The next chunk of a pipe, if it was read already. */
  take(fd: number): Buffer | undefined {
    return this.#pipe(fd).chunks.shift();
  }

  /** The next chunk of a pipe; `undefined` at its end. One reader per pipe. */
  async next(fd: number): Promise<Buffer | undefined> {
    const pipe = this.#pipe(fd);
    while (pipe.chunks.length === 0 && !pipe.ended) {
      const arrival = new Promise<void>((resolve) => {
        pipe.wake = resolve;
      });
      await this.readDuring(arrival);
      pipe.wake = undefined;
    }
    return pipe.chunks.shift();
  }

  /** Reads all pipes until `event`; the chunks are kept. */
  async readDuring(event: Promise<void>): Promise<void> {
    if (this.#waiting++ === 0) for (const { stream } of this.#pipes.values()) stream.resume();
    try {
      await event;
    } finally {
      if (--this.#waiting === 0) for (const { stream } of this.#pipes.values()) stream.pause();
    }
  }

  #pipe(fd: number): Pipe {
    const pipe = this.#pipes.get(fd);
    if (!pipe) throw new RangeError(`output ${fd}: the process does not write to it`);
    return pipe;
  }

  /** Throws away what a pipe still has and will have. */
  discard(fd: number): void {
    const pipe = this.#pipes.get(fd);
    if (!pipe) return;
    pipe.discarded = true;
    pipe.chunks.length = 0;
  }

  /** Reads everything and throws it away, so that the process can end. */
  drain(): void {
    for (const [fd, { stream }] of this.#pipes) {
      this.discard(fd);
      stream.resume();
    }
  }

  /** Closes the pipes; readers see their end. */
  destroy(): void {
    for (const pipe of this.#pipes.values()) {
      pipe.chunks.length = 0;
      pipe.stream.destroy();
    }
  }
}
