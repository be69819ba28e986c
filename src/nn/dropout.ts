/**
 * Dropout and drop path whose masks are functions of (seed, step, site), so that a resumed run draws the masks of an
 * uninterrupted one. A mask would be as large as the activation; instead the host feeds one random integer per row and
 * one per column, and the graph mixes them into a bit per element.
 */
import { bitwiseXor, cast, dim, input, less, mul, reshape, scalar, type Value } from "../graph/index.js";
import { hashText, Random } from "../random.js";
import { sizeOf, type Tensor } from "../tensor.js";
import type { Pass, RandomSite } from "./pass.js";
import type { Scope } from "./scope.js";

/** 2^32 divided by the golden ratio, an odd number: multiplying by it carries every bit to the high ones. */
const goldenRatio = 0x9e3779b1 | 0;

/** A layer of one input whose behavior depends on the pass. */
export type PassLayer = (x: Value, pass: Pass) => Value;

/** Dropout: in training, elements are zero with probability `rate`, else scaled by 1 / (1 - rate). */
export function dropout(scope: Scope, rate: number): PassLayer {
  return (x, pass) => {
    const mask = dropoutMask({ path: scope.path, rate }, x.shape, pass);
    return mask === undefined ? x : mul(x, mask);
  };
}

/** The factors of a dropout, 0 or 1 / (1 - rate), in `shape`; `undefined` where nothing is dropped. */
export function dropoutMask(
  { path, rate }: { readonly path: string; readonly rate: number },
  shape: readonly number[],
  pass: Pass,
): Value | undefined {
  if (!pass.training || rate === 0) return undefined;
  const columns = shape[shape.length - 1] ?? 1;
  const rows = sizeOf(shape) / columns;
  const { name } = pass.site(path, { kind: "dropout", rows, columns, rate });
  const bits = mul(
    bitwiseXor(input(`${name}.rows`, [rows, 1], "i32"), input(`${name}.columns`, [1, columns], "i32")),
    scalar(goldenRatio, "i32"),
  );
  // Cast and multiply: to select between two scalars takes the runtime three passes over memory.
  const kept = less(bits, scalar(2 ** 31 - Math.round(rate * 2 ** 32), "i32"));
  return reshape(mul(cast(kept, "f32"), 1 / (1 - rate)), shape);
}

/** Drop path (stochastic depth): in training, a sample is zero with probability `rate`, else scaled by 1 / (1 - rate).  x `[B,...]`. */
export function dropPath(scope: Scope, rate: number): PassLayer {
  return (x, pass) => {
    if (!pass.training || rate === 0) return x;
    const { name } = pass.site(scope.path, { kind: "drop-path", rows: dim(x, 0), columns: 1, rate });
    return mul(x, input(`${name}.kept`, [dim(x, 0), ...x.shape.slice(1).map(() => 1)]));
  };
}

/** The key of all random numbers of one training step. */
export interface StepKey {
  readonly seed: number;
  /** Number of the step in the run, from 0. */
  readonly step: number;
}

/** The clips of a pass, where a batch is computed in parts. */
export interface PassClips {
  /** Clips of the batch before those of the pass. */
  readonly first: number;
  /** Clips of the pass. */
  readonly count: number;
}

/**
 * The inputs of all random sites of a pass for one step. Drop-path factors have the shape `[rows,1,1]`. What a clip
 * draws depends on its place in the batch only: a pass over some clips of a batch draws what a pass over the whole batch
 * draws for them. Default of `clips`: the whole batch.
 * @throws `RangeError` for a site whose rows are not those of clips.
 */
export function randomFeeds(
  sites: readonly RandomSite[],
  { seed, step }: StepKey,
  clips: PassClips = { first: 0, count: 1 },
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const { name, kind, rows, columns, rate } of sites) {
    if (rows % clips.count !== 0) {
      throw new RangeError(`dropout: ${rows} rows of ${name} do not belong to ${clips.count} clips`);
    }
    const before = clips.first * (rows / clips.count);
    const random = new Random(seed, step, hashText(name));
    if (kind === "dropout") {
      const data = random.fillBits(new Int32Array(columns));
      feeds[`${name}.columns`] = { dtype: "i32", shape: [1, columns], data };
      const bits = random.skip(before).fillBits(new Int32Array(rows));
      feeds[`${name}.rows`] = { dtype: "i32", shape: [rows, 1], data: bits };
    } else {
      random.skip(before);
      const data = Float32Array.from({ length: rows }, () => (random.uniform() < rate ? 0 : 1 / (1 - rate)));
      feeds[`${name}.kept`] = { dtype: "f32", shape: [rows, 1, 1], data };
    }
  }
  return feeds;
}
