/** The part of fft.js that log-mel needs; the package ships no types. */
declare module "fft.js" {
  /** A transform of `size` points, a power of two. */
  export default class FFT {
    constructor(size: number);
    /** An array of `size` complex numbers, real and imaginary parts interleaved. */
    createComplexArray(): number[];
    /** Transforms `size` real numbers; fills the first half of `out` (bins 0 to size/2 - 1, and size/2's bin). */
    realTransform(out: number[], input: ArrayLike<number>): void;
  }
}
