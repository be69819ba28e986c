/** The processes that train together, as the trainer sees them. */

/** One of several processes that run the same program. All of them must call the same functions in the same order. */
export interface Ranks {
  /** Number of this process, from 0. */
  readonly rank: number;
  /** Number of processes. */
  readonly size: number;
  /** Replaces `values` by their sums over all ranks; every rank gets the same bits. */
  sum(values: Float64Array<ArrayBuffer>): Promise<void>;
  /** The JSON values of all ranks, in the order of ranks. */
  gather(value: unknown): Promise<unknown[]>;
}

/** A process on its own. */
export const singleRank: Ranks = {
  rank: 0,
  size: 1,
  sum: async () => {},
  gather: async (value) => [value],
};

/** A range of positions. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** The positions of `count` items that belong to a rank: in order, in sizes that differ by at most one. */
export function rangeOf({ rank, size }: Pick<Ranks, "rank" | "size">, count: number): Range {
  return { start: Math.floor((rank * count) / size), end: Math.floor(((rank + 1) * count) / size) };
}
