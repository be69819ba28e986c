/** One pass over a model: how layers behave in it, and what it collects besides the output. */
import type { Value } from "../graph/index.js";

/** A place that draws random numbers at every step; see `randomFeeds`. */
export interface RandomSite {
  /** Prefix of its graph inputs; unique within a pass. */
  readonly name: string;
  readonly kind: "dropout" | "drop-path";
  /** Dropout: the size of all axes but the last, and that of the last. Drop path: the number of samples, and 1. */
  readonly rows: number;
  readonly columns: number;
  /** Probability of zero. */
  readonly rate: number;
}

/** How a pass runs. */
export interface PassOptions {
  /** Turns on dropout, drop path and batch statistics. Default: false. */
  readonly training?: boolean | undefined;
  /** Uses faster forms that equal the published formulas exactly; tests compare both. Default: true. */
  readonly fused?: boolean | undefined;
  /**
   * Computes linear maps over tokens as matrix products where a 1x1 convolution would serve as well, with channels last
   * in between. Models in 8 bits need it: the runtime has fast integer matrix products, but no fast integer
   * convolutions. Default: false.
   */
  readonly preferMatmul?: boolean | undefined;
  /**
   * Computes the activations of encoder blocks again for their gradients instead of keeping them; see `recomputed`.
   * Default: false.
   */
  readonly recompute?: boolean | undefined;
}

/** State of one pass, which every layer receives. A pass belongs to one graph and is used once. */
export class Pass {
  readonly training: boolean;
  readonly fused: boolean;
  readonly preferMatmul: boolean;
  readonly recompute: boolean;
  /** Random sites so far; `randomFeeds` makes their inputs. */
  readonly sites: RandomSite[] = [];
  /** New values of running statistics by buffer key: further outputs of a training graph. */
  readonly updates = new Map<string, Value>();
  readonly #uses: Map<string, number>;

  constructor(options: PassOptions = {}, uses: ReadonlyMap<string, number> = new Map()) {
    this.training = options.training ?? false;
    this.fused = options.fused ?? true;
    this.preferMatmul = options.preferMatmul ?? false;
    this.recompute = options.recompute ?? false;
    this.#uses = new Map(uses);
  }

  /**
   * Passes that repeat whatever layers do from here on: they draw the same numbers, and what they collect is discarded.
   */
  replay(): () => Pass {
    const { training, fused, preferMatmul } = this;
    const uses = new Map(this.#uses);
    return () => new Pass({ training, fused, preferMatmul }, uses);
  }

  /**
   * Whether two linear maps in a row become one by multiplying their weights, which the runtime does once when they are
   * frozen. In training the weights change, and their product costs more than it saves.
   */
  get mergesWeights(): boolean {
    return this.fused && !this.training;
  }

  /** Registers a random site at `path`; the second draw of a pass at one path is named `path#1`, and so on. */
  site(path: string, site: Omit<RandomSite, "name">): RandomSite {
    const use = this.#uses.get(path) ?? 0;
    this.#uses.set(path, use + 1);
    const named = { ...site, name: use === 0 ? path : `${path}#${use}` };
    this.sites.push(named);
    return named;
  }
}
