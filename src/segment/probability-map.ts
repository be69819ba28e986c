/** Probabilities of one step, per class, at the model's resolution; their blend in time and their way to pixels. */
import type { TensorOf } from "../tensor.js";

/** Class probabilities over the whole frame. Class 0 is the background; a binary model has class 1 besides. */
export interface ProbabilityMap {
  readonly width: number;
  readonly height: number;
  /** Probability planes by class, `f32[height*width]` each. */
  readonly planes: ReadonlyMap<number, Float32Array>;
  /** Classes other than the background that are the likeliest somewhere: the only ones that are drawn. */
  readonly winners: readonly number[];
}

/** Classes but 0 that have the largest value somewhere. */
function winnersOf(planes: ReadonlyMap<number, Float32Array>): number[] {
  const best = Float32Array.from(planes.get(0) ?? []);
  const winner = new Uint16Array(best.length);
  for (const [index, plane] of planes) {
    for (let i = 0; i < best.length; i++) {
      if (plane[i]! > best[i]!) {
        best[i] = plane[i]!;
        winner[i] = index;
      }
    }
  }
  return [...new Set(winner)].filter((index) => index !== 0).sort((a, b) => a - b);
}

/**
 * Probabilities of frame `frame` of logits `f32[T,K,H,W]`: sigmoid for K = 1, softmax over the classes otherwise.
 * Throws `TypeError` on another rank.
 */
export function probabilitiesOf(logits: TensorOf<"f32">, frame: number): ProbabilityMap {
  const [, classes, height, width] = logits.shape;
  if (classes === undefined || height === undefined || width === undefined) {
    throw new TypeError(`probabilities: expected logits f32[T,K,H,W], got f32[${logits.shape.join(",")}]`);
  }
  const size = height * width;
  const start = frame * classes * size;
  const planes = new Map<number, Float32Array>();
  if (classes === 1) {
    const sounding = logits.data.subarray(start, start + size).map((x) => 1 / (1 + Math.exp(-x)));
    planes
      .set(
        0,
        sounding.map((p) => 1 - p),
      )
      .set(1, sounding);
  } else {
    const peak = new Float32Array(size).fill(Number.NEGATIVE_INFINITY);
    const total = new Float32Array(size);
    for (let c = 0; c < classes; c++) {
      const plane = logits.data.slice(start + c * size, start + (c + 1) * size);
      for (let i = 0; i < size; i++) peak[i] = Math.max(peak[i]!, plane[i]!);
      planes.set(c, plane);
    }
    for (const plane of planes.values()) {
      for (let i = 0; i < size; i++) total[i]! += plane[i] = Math.exp(plane[i]! - peak[i]!);
    }
    for (const plane of planes.values()) for (let i = 0; i < size; i++) plane[i]! /= total[i]!;
  }
  return { width, height, planes, winners: winnersOf(planes) };
}

/** The blend `(1 - weight) a + weight b` of the classes that either draws. Both maps have one size. */
export function interpolate(a: ProbabilityMap, b: ProbabilityMap, weight: number): ProbabilityMap {
  const winners = [...new Set([...a.winners, ...b.winners])];
  const planes = new Map<number, Float32Array>();
  for (const index of [0, ...winners]) {
    const to = b.planes.get(index);
    const from = a.planes.get(index);
    if (!from || !to) throw new RangeError(`interpolate: class ${index} is in one map only`);
    planes.set(
      index,
      from.map((p, i) => p + weight * (to[i]! - p)),
    );
  }
  return { width: a.width, height: a.height, planes, winners };
}

/** Receives row `y`: per pixel the likeliest drawn class, its probability, and the background's. */
export type RowVisitor = (
  y: number,
  index: Uint16Array,
  foreground: Float32Array,
  background: Float32Array,
) => void;

/** Where output samples fall between input samples: bilinear, half-pixel centres, clamped at the edges. */
function positions(inSize: number, outSize: number) {
  const low = new Int32Array(outSize);
  const high = new Int32Array(outSize);
  const weight = new Float32Array(outSize);
  for (let o = 0; o < outSize; o++) {
    const at = Math.min(inSize - 1, Math.max(0, ((o + 0.5) * inSize) / outSize - 0.5));
    low[o] = Math.floor(at);
    high[o] = Math.min(inSize - 1, low[o]! + 1);
    weight[o] = at - low[o]!;
  }
  return { low, high, weight };
}

/**
 * Enlarges a map to `width` x `height` (bilinear) a row at a time; the arrays are reused from row to row.
 * A pixel belongs to its foreground class where that is likelier than the background.
 */
export function enlarge(map: ProbabilityMap, width: number, height: number, visit: RowVisitor): void {
  const columns = positions(map.width, width);
  const rows = positions(map.height, height);
  const line = new Float32Array(map.width);
  const index = new Uint16Array(width);
  const foreground = new Float32Array(width);
  const background = new Float32Array(width);
  const candidate = new Float32Array(width);

  const enlargeRow = (plane: Float32Array, y: number, out: Float32Array) => {
    const upper = rows.low[y]! * map.width;
    const lower = rows.high[y]! * map.width;
    const down = rows.weight[y]!;
    for (let x = 0; x < line.length; x++) {
      line[x] = plane[upper + x]! + down * (plane[lower + x]! - plane[upper + x]!);
    }
    const { low, high, weight } = columns;
    for (let x = 0; x < out.length; x++) {
      const left = line[low[x]!]!;
      out[x] = left + weight[x]! * (line[high[x]!]! - left);
    }
  };

  const [first = 0, ...others] = map.winners;
  for (let y = 0; y < height; y++) {
    enlargeRow(map.planes.get(0)!, y, background);
    index.fill(first);
    if (first === 0) foreground.fill(0);
    else enlargeRow(map.planes.get(first)!, y, foreground);
    for (const c of others) {
      enlargeRow(map.planes.get(c)!, y, candidate);
      for (let x = 0; x < width; x++) {
        if (candidate[x]! <= foreground[x]!) continue;
        foreground[x] = candidate[x]!;
        index[x] = c;
      }
    }
    visit(y, index, foreground, background);
  }
}
