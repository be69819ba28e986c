/** Class probabilities of one frame at the model's resolution: their blend in time, and their way to pixels. */
import type { ProbabilityMap } from "../inference/masks.js";
import type { FrameSize } from "../media/video.js";

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

/** How clearly pixels are marked, at a resolution of its own. */
export interface Marks {
  readonly width: number;
  readonly height: number;
  /** `u8[height*width]`: marked above 127.5, where the likeliest active class and the background are equally likely. */
  readonly levels: Uint8ClampedArray;
}

/** One row of an upsampled map; the arrays are reused from row to row. */
export interface UpsampledRow {
  readonly y: number;
  /** The likeliest active class of each pixel; 0 where no class is active. */
  readonly labels: Uint16Array;
  /** Its probability. */
  readonly confidence: Float32Array;
  /** How clearly it is marked: marked above 1/2. */
  readonly fraction: Float32Array;
}

/** Where output samples fall between input samples, and how near to the higher one. */
interface Positions {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly weight: Float32Array;
}

/** Positions for bilinear interpolation: half-pixel centers, clamped at the edges. */
function positions(inSize: number, outSize: number): Positions {
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

/** Makes rows of planes at another size, bilinear. */
class RowUpsampler {
  readonly #width: number;
  readonly #columns: Positions;
  readonly #rows: Positions;
  readonly #line: Float32Array;

  constructor(from: FrameSize, to: FrameSize) {
    this.#width = from.width;
    this.#columns = positions(from.width, to.width);
    this.#rows = positions(from.height, to.height);
    this.#line = new Float32Array(from.width);
  }

  /** Writes row `y` of an upsampled plane into `out`. */
  write(plane: Float32Array | Uint8ClampedArray, y: number, out: Float32Array): void {
    const line = this.#line;
    const upper = this.#rows.low[y]! * this.#width;
    const lower = this.#rows.high[y]! * this.#width;
    const down = this.#rows.weight[y]!;
    for (let x = 0; x < line.length; x++) {
      line[x] = plane[upper + x]! + down * (plane[lower + x]! - plane[upper + x]!);
    }
    const { low, high, weight } = this.#columns;
    for (let x = 0; x < out.length; x++) {
      const left = line[low[x]!]!;
      out[x] = left + weight[x]! * (line[high[x]!]! - left);
    }
  }
}

/** By row of a map or of its marks, whether any pixel is marked. */
function markedRows(map: ProbabilityMap, marks: Marks | undefined): readonly boolean[] {
  if (marks) {
    const { width, height, levels } = marks;
    return Array.from({ length: height }, (_, y) =>
      levels.subarray(y * width, (y + 1) * width).some((level) => level > 127),
    );
  }
  const { width, height, probabilities, activeClasses } = map;
  const background = probabilities.get(0)!;
  return Array.from({ length: height }, (_, y) =>
    activeClasses.some((c) => {
      const plane = probabilities.get(c)!;
      for (let i = y * width; i < (y + 1) * width; i++) if (plane[i]! > background[i]!) return true;
      return false;
    }),
  );
}

/** Options of `upsample`. */
export interface UpsampleOptions {
  /** What is marked, instead of what the map says. */
  readonly marks?: Marks | undefined;
  /** Leaves out rows in which no pixel can be marked: both rows that they lie between have none. Default: false. */
  readonly markedOnly?: boolean | undefined;
  /** Whether the model has one class: with marks, a pixel's confidence is how clearly it is marked. Default: false. */
  readonly oneClass?: boolean | undefined;
}

/** Upsamples a map to `size` (bilinear), row by row. */
export function* upsample(
  map: ProbabilityMap,
  size: FrameSize,
  { marks, markedOnly = false, oneClass = false }: UpsampleOptions = {},
): Generator<UpsampledRow, void, undefined> {
  const { width, height } = size;
  const ofMap = new RowUpsampler(map, size);
  const ofMarks = marks && new RowUpsampler(marks, size);
  const labels = new Uint16Array(width);
  const confidence = new Float32Array(width);
  const fraction = new Float32Array(width);
  const candidate = new Float32Array(width);
  const [first = 0, ...others] = map.activeClasses;
  labels.fill(first);
  const marked = markedOnly ? markedRows(map, marks) : undefined;
  const { low, high } = positions((marks ?? map).height, height);
  for (let y = 0; y < height; y++) {
    if (marked && !marked[low[y]!] && !marked[high[y]!]) continue;
    if (marks) {
      ofMarks?.write(marks.levels, y, fraction);
      for (let x = 0; x < width; x++) fraction[x]! /= 255;
    }
    if (oneClass && marks) {
      confidence.set(fraction);
    } else if (first !== 0) {
      ofMap.write(map.probabilities.get(first)!, y, confidence);
      if (others.length > 0) labels.fill(first);
      for (const c of others) {
        ofMap.write(map.probabilities.get(c)!, y, candidate);
        for (let x = 0; x < width; x++) {
          if (candidate[x]! <= confidence[x]!) continue;
          confidence[x] = candidate[x]!;
          labels[x] = c;
        }
      }
    }
    if (!marks) {
      ofMap.write(map.probabilities.get(0)!, y, fraction);
      for (let x = 0; x < width; x++) fraction[x] = 0.5 + (confidence[x]! - fraction[x]!) / 2;
    }
    yield { y, labels, confidence, fraction };
  }
}
