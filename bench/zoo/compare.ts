/** Compares outputs with the tensors of reference files, which hold parts of them. */
import { type Shape, sizeOf, type Tensor } from "../../src/tensor.js";
import { thinned } from "../../test/reference.js";
import { relativeError } from "../../test/support.js";

/** How an output agrees with its reference. */
export interface Agreement {
  /** The key in the file. */
  readonly key: string;
  /**
   * The largest difference over the largest value. For decisions (classes, masks, choices of tokens): the largest margin by
   * which a pixel or position is decided otherwise, over the largest logit or preference.
   */
  readonly error: number;
  /** Pixels or positions that are decided otherwise. */
  readonly differing: number;
  /** The frames in which they lie. */
  readonly frames: readonly number[];
  /** Elements that were compared. */
  readonly count: number;
}

/** Pixels or positions that decide between classes, or between tokens. */
export function isDecision(key: string): boolean {
  return isClass(key) || key.endsWith("_second_token");
}

/** Pixels that decide between classes. */
function isClass(key: string): boolean {
  return key === "argmax" || key === "mask";
}

/** The name of the output that a key of a reference file holds a part of. */
export function outputNameOf(key: string): string {
  if (isClass(key)) return "logits";
  return key.replace(/(_first2)?_every_.*$/, "");
}

/**
 * Compares `actual` with the reference `key`. `steps` are those of the file's metadata; without them, the numbers in
 * `_every_8th_...` tell which elements of an axis it holds. Throws `RangeError` when the shapes do not fit.
 */
export function compare(
  actual: Tensor,
  expected: Tensor,
  { key, steps }: { readonly key: string; readonly steps?: readonly number[] | undefined },
): Agreement {
  const reference = Array.from<number | bigint, number>(expected.data, Number);
  if (isDecision(key)) return { key, ...compareDecisions(actual, reference), count: reference.length };
  const first = key.includes("_first2_") ? firstFrames(actual, 2) : actual;
  const sample = thinned(first, steps ?? stepsOf(key, first.shape, expected.shape));
  if (sample.length !== reference.length) throw unfitting(key, first.shape, expected.shape);
  return { key, error: relativeError(sample, reference), differing: 0, frames: [], count: sample.length };
}

/**
 * Compares the likeliest class of every pixel, of logits `[N,K,H,W]`; with K = 1, whether it is above 0. The margin of a pixel
 * that differs is how far its logit is above that of the reference's class: twice the error of the logits at most.
 */
function compareDecisions(
  { shape, data }: Tensor,
  reference: readonly number[],
): Pick<Agreement, "error" | "differing" | "frames"> {
  const [frames = 0, classes = 0, height = 0, width = 0] = shape;
  const pixels = height * width;
  if (reference.length !== frames * pixels) throw unfitting("classes", shape, [reference.length]);
  const largest = Float32Array.from<number | bigint>(data, (x) => Math.abs(Number(x))).reduce(
    (a, b) => Math.max(a, b),
    0,
  );
  let [error, differing] = [0, 0];
  const inFrames = new Set<number>();
  for (const [i, wanted] of reference.entries()) {
    const start = Math.floor(i / pixels) * classes * pixels + (i % pixels);
    // A single logit is that of class 1; that of class 0 is zero.
    const logits =
      classes === 1
        ? [0, Number(data[start])]
        : Array.from({ length: classes }, (_, k) => Number(data[start + k * pixels]));
    const best = logits.reduce((top, x, k) => (x > (logits[top] ?? 0) ? k : top), 0);
    if (best === wanted) continue;
    differing++;
    inFrames.add(Math.floor(i / pixels));
    error = Math.max(error, ((logits[best] ?? 0) - (logits[wanted] ?? Number.NEGATIVE_INFINITY)) / largest);
  }
  return { error, differing, frames: [...inFrames] };
}

/** The distance of the elements that are held, on every axis. */
function stepsOf(key: string, full: Shape, held: Shape): number[] {
  const numbers = [...key.matchAll(/every_(\d+)/g)].map(([, digits]) => Number(digits));
  if (full.length !== held.length) throw unfitting(key, full, held);
  return full.map((size, axis) => {
    if (size === held[axis]) return 1;
    const step = numbers.find((n) => Math.ceil(size / n) === held[axis]);
    if (step === undefined) throw unfitting(key, full, held);
    return step;
  });
}

function unfitting(key: string, full: Shape, held: Shape): RangeError {
  return new RangeError(`${key}: an output of [${full}] does not fit a reference of [${held}]`);
}

function firstFrames(tensor: Tensor, count: number): Tensor {
  return framesOf(tensor, (frame) => frame < count);
}

/** The frames of a tensor `[N,...]` that `isWanted` picks. */
export function framesOf({ shape, data }: Tensor, isWanted: (frame: number) => boolean): Tensor {
  const [count = 0, ...rest] = shape;
  const size = sizeOf(rest);
  const picked = Array.from({ length: count }, (_, frame) => frame).filter(isWanted);
  const values = picked.flatMap((frame) => {
    return Array.from<number | bigint, number>(data.slice(frame * size, (frame + 1) * size), Number);
  });
  return { dtype: "f32", shape: [picked.length, ...rest], data: Float32Array.from(values) };
}
