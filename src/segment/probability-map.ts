/** Class probabilities of one frame at the model's resolution: their blend in time, and their way to pixels. */
import type { ProbabilityMap } from "../inference/masks.js";

export { type ProbabilityMap, probabilitiesOf } from "../inference/masks.js";

/** The map `(1 - weight) a + weight b`, of the classes active in either. Both maps have one size. */
export function blend(a: ProbabilityMap, b: ProbabilityMap, weight: number): ProbabilityMap {
  const activeClasses = [...new Set([...a.activeClasses, ...b.activeClasses])].sort((x, y) => x - y);
  const probabilities = new Map<number, Float32Array>();
  for (const index of [0, ...activeClasses]) {
    const from = a.probabilities.get(index);
    const to = b.probabilities.get(index);
    if (!from || !to) throw new RangeError(`blend: class ${index} is in one map only`);
    probabilities.set(
      index,
      from.map((p, i) => p + weight * (to[i]! - p)),
    );
  }
  return { width: a.width, height: a.height, probabilities, activeClasses };
}

/** One row of an upsampled map; the arrays are reused from row to row. */
export interface UpsampledRow {
  readonly y: number;
  /** The likeliest active class of each pixel; 0 where no class is active. */
  readonly labels: Uint16Array;
  /** Its probability. */
  readonly foreground: Float32Array;
  readonly background: Float32Array;
}

/** Where output samples fall between input samples: bilinear, half-pixel centers, clamped at the edges. */
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

/** Upsamples a map to `width` x `height` (bilinear), row by row. */
export function* upsample(
  map: ProbabilityMap,
  width: number,
  height: number,
): Generator<UpsampledRow, void, undefined> {
  const columns = positions(map.width, width);
  const rows = positions(map.height, height);
  const line = new Float32Array(map.width);
  const labels = new Uint16Array(width);
  const foreground = new Float32Array(width);
  const background = new Float32Array(width);
  const candidate = new Float32Array(width);

  const upsampleRow = (plane: Float32Array, y: number, out: Float32Array) => {
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

  const [first = 0, ...others] = map.activeClasses;
  for (let y = 0; y < height; y++) {
    upsampleRow(map.probabilities.get(0)!, y, background);
    labels.fill(first);
    if (first === 0) foreground.fill(0);
    else upsampleRow(map.probabilities.get(first)!, y, foreground);
    for (const c of others) {
      upsampleRow(map.probabilities.get(c)!, y, candidate);
      for (let x = 0; x < width; x++) {
        if (candidate[x]! <= foreground[x]!) continue;
        foreground[x] = candidate[x]!;
        labels[x] = c;
      }
    }
    yield { y, labels, foreground, background };
  }
}
