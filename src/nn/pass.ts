/** One pass over a model: how layers behave in it, and what it collects besides its output. */
import type { Value } from "../graph/index.js";

/** A place that draws random numbers at every step; see `randomFeeds`. */
export interface RandomSite {
  /** Prefix of its graph inputs; unique within a pass. */
  readonly name: string;
  readonly kind: "dropout" | "drop-path";
  /** Dropout: the leading axes flattened and the last axis. Drop path: samples and 1. */
  readonly rows: number;
  readonly columns: number;
  /** Probability of zero. */
  readonly rate: number;
}

/** How a pass runs. */
export interface PassOptions {
  /** Dropout, drop path and batch statistics are on; off unless told. */
  readonly training?: boolean | undefined;
  /** Exact rewrites of the published formulas into faster ones; on unless told. Tests compare both. */
  readonly rewrites?: boolean | undefined;
  /**
   * Linear maps over tokens stay matrix products where a 1x1 convolution would serve as well, and what lies between
   * them keeps its channels last; off unless told. What is to run in 8 bits needs it: the runtime has fast integer
   * products and no fast integer convolutions.
   */
  readonly matrices?: boolean | undefined;
}

/** State of one pass, handed to every layer. A pass belongs to one graph and is used once. */
export class Pass {
  readonly training: boolean;
  readonly rewrites: boolean;
  readonly matrices: boolean;
  /** Random sites met so far: what the host has to feed. */
  readonly sites: RandomSite[] = [];
  /** New values of running statistics by buffer key: further outputs of a training graph. */
  readonly updates = new Map<string, Value>();
  readonly #uses = new Map<string, number>();

  constructor({ training = false, rewrites = true, matrices = false }: PassOptions = {}) {
    this.training = training;
    this.rewrites = rewrites;
    this.matrices = matrices;
  }

  /**
   * Two linear maps in a row may become one by multiplying their weights, which the runtime does once
   * when they are frozen. In training their weights change, and the product would be the larger work.
   */
  get mergesWeights(): boolean {
    return this.rewrites && !this.training;
  }

  /** Registers a random site at `path`; one that draws several times per pass gets a number. */
  site(path: string, site: Omit<RandomSite, "name">): RandomSite {
    const use = this.#uses.get(path) ?? 0;
    this.#uses.set(path, use + 1);
    const named = { ...site, name: use === 0 ? path : `${path}#${use}` };
    this.sites.push(named);
    return named;
  }
}
