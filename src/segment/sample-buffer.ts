/** Seconds of sound out of a stream of samples, in bounded memory. */

/** Reads stretches of a stream of samples, each at or after the one before it. Past the stream's end it is silent. */
export class SampleBuffer {
  readonly #source: AsyncIterator<Float32Array, void, undefined>;
  readonly #pieces: Float32Array[] = [];
  /** Where the first piece begins, and the last one ends, in samples from the stream's start. */
  #start = 0;
  #end = 0;
  #ended = false;

  constructor(source: AsyncIterator<Float32Array, void, undefined>) {
    this.#source = source;
  }

  /** `count` samples from `start` on. */
  async read(start: number, count: number): Promise<Float32Array<ArrayBuffer>> {
    while (this.#end < start + count && !this.#ended) {
      const next = await this.#source.next();
      if (next.done) this.#ended = true;
      else {
        this.#pieces.push(next.value);
        this.#end += next.value.length;
      }
    }
    for (let first = this.#pieces[0]; first && this.#start + first.length <= start; first = this.#pieces[0]) {
      this.#pieces.shift();
      this.#start += first.length;
    }
    const out = new Float32Array(count);
    let at = this.#start;
    for (const piece of this.#pieces) {
      const from = Math.max(at, start);
      const to = Math.min(at + piece.length, start + count);
      if (from < to) out.set(piece.subarray(from - at, to - at), from - start);
      at += piece.length;
    }
    return out;
  }
}
