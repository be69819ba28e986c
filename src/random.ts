/**
 * Randomness as a counter: every draw is a pure function of integers (seed, step, site, index),
 * so a resumed run draws what an uninterrupted one would have drawn.
 */
import { at } from "./arrays.js";

/** The 32-bit finaliser of MurmurHash3: a bijection that mixes all bits. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Hashes integers to one unsigned 32-bit integer. */
export function hash(...words: readonly number[]): number {
  let h = 0x9e3779b9;
  for (const w of words) h = mix((Math.imul(h, 31) + (w | 0)) ^ 0x51ed270b) + 0x9e3779b1;
  return mix(h);
}

/** FNV-1a, 32 bit, of the UTF-8 bytes of `text`: turns a name into a site number. */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}

/** A generator of draws keyed by integers; two generators with equal keys draw equal numbers. */
export class Random {
  readonly #key: number;
  #count = 0;

  constructor(...key: readonly number[]) {
    this.#key = hash(...key);
  }

  /** An unsigned 32-bit integer. */
  u32(): number {
    return hash(this.#key, this.#count++);
  }

  /** Passes over `count` draws, as if they had been drawn. */
  skip(count: number): this {
    this.#count += count;
    return this;
  }

  /** Fills `out` with what as many calls of `u32` would draw (as signed bits in an `Int32Array`). */
  fillBits<A extends Int32Array | Uint32Array>(out: A): A {
    // `hash(key, k)` with its first round, which does not depend on k, taken out of the loop.
    const first = Math.imul(mix((Math.imul(0x9e3779b9, 31) + (this.#key | 0)) ^ 0x51ed270b) + 0x9e3779b1, 31);
    for (let i = 0; i < out.length; i++) {
      out[i] = mix(mix((first + (this.#count++ | 0)) ^ 0x51ed270b) + 0x9e3779b1);
    }
    return out;
  }

  /** Uniform in `[low, high)`, with 32 random bits. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.u32() / 2 ** 32);
  }

  /** A whole number, `0 <= k < n`. */
  integer(n: number): number {
    return Math.floor(this.uniform(0, n));
  }

  /** Standard normal, by Box and Muller. */
  normal(): number {
    const r = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return r * Math.cos(2 * Math.PI * this.uniform());
  }

  /** One of `items`. Throws `RangeError` on an empty list. */
  pick<T>(items: readonly T[]): T {
    const item = items[this.integer(items.length)];
    if (item === undefined) throw new RangeError("random: cannot pick from an empty list");
    return item;
  }

  /** The numbers `0..n-1` in random order (Fisher and Yates). */
  permutation(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const a = at(order, i);
      order[i] = at(order, j);
      order[j] = a;
    }
    return order;
  }

  /** The items in random order, as `permutation` draws it. */
  shuffled<T>(items: readonly T[]): T[] {
    return this.permutation(items.length).map((i) => items[i] as T);
  }
}
