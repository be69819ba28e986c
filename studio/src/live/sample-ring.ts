/** The last seconds of a sound, in memory that does not grow. */
export class SampleRing {
  readonly #samples: Float32Array<ArrayBuffer>;
  /** Samples pushed since the start. */
  #count = 0;

  /** Keeps the last `capacity` samples. */
  constructor(capacity: number) {
    this.#samples = new Float32Array(capacity);
  }

  push(piece: Float32Array): void {
    const { length } = this.#samples;
    const kept = piece.subarray(Math.max(0, piece.length - length));
    this.#count += piece.length - kept.length;
    const at = this.#count % length;
    const first = kept.subarray(0, length - at);
    this.#samples.set(first, at);
    this.#samples.set(kept.subarray(first.length), 0);
    this.#count += kept.length;
  }

  /** The last `count` samples, oldest first; silence where there are not so many yet. */
  last(count: number): Float32Array<ArrayBuffer> {
    const out = new Float32Array(count);
    const { length } = this.#samples;
    const known = Math.min(count, length, this.#count);
    for (let i = 0; i < known; i++)
      out[count - known + i] = this.#samples[(this.#count - known + i) % length]!;
    return out;
  }
}
