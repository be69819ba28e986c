/** Sliding means of planes. */

/** Means over (2 radius + 1)^2 cells around every cell of planes; beyond the border the border's values repeat. */
export class BoxFilter {
  readonly #radius: number;
  readonly #rows: Float32Array;
  readonly #sums: Float32Array;

  /** For planes of at most `side` x `side` cells. */
  constructor(radius: number, side: number) {
    this.#radius = radius;
    this.#rows = new Float32Array(side * side);
    this.#sums = new Float32Array(side);
  }

  /** Writes the means of a plane of rows of `width` cells (more than `2 * radius`) into `out`, which may be `plane` itself. */
  mean(plane: Float32Array, out: Float32Array, width: number): void {
    const rows = this.#rows;
    const radius = this.#radius;
    for (let y = 0; y < plane.length; y += width) {
      const first = plane[y]!;
      const last = plane[y + width - 1]!;
      let sum = radius * first;
      for (let i = y; i <= y + radius; i++) sum += plane[i]!;
      let i = y;
      for (; i < y + radius; i++) {
        rows[i] = sum;
        sum += plane[i + radius + 1]! - first;
      }
      for (; i < y + width - 1 - radius; i++) {
        rows[i] = sum;
        sum += plane[i + radius + 1]! - plane[i - radius]!;
      }
      for (; i < y + width; i++) {
        rows[i] = sum;
        sum += last - plane[i - radius]!;
      }
    }
    this.#columns(out, width, plane.length / width);
  }

  /** Means of columns of `#rows`; a row of cells at a time, as they lie in memory. */
  #columns(out: Float32Array, width: number, height: number): void {
    const rows = this.#rows;
    const radius = this.#radius;
    const scale = 1 / (2 * radius + 1) ** 2;
    const sums = this.#sums;
    for (let x = 0; x < width; x++) {
      let sum = radius * rows[x]!;
      for (let y = 0; y <= radius; y++) sum += rows[Math.min(height - 1, y) * width + x]!;
      sums[x] = sum;
    }
    for (let y = 0; y < height; y++) {
      const enter = Math.min(height - 1, y + radius + 1) * width;
      const leave = Math.max(0, y - radius) * width;
      for (let x = 0, i = y * width; x < width; x++, i++) {
        const sum = sums[x]!;
        out[i] = scale * sum;
        sums[x] = sum + rows[enter + x]! - rows[leave + x]!;
      }
    }
  }
}
