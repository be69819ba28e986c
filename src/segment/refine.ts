/**
 * Edges of masks fitted to those of the picture: the fast guided filter (He and Sun, 2015, arXiv:1505.00996) with a color
 * guide (He, Sun and Tang, "Guided Image Filtering", PAMI 2013, section 3.5). In a window of the grid a mask is an affine
 * function of the colors, found by least squares; the functions are then applied to the guide's pixels. On the
 * coarsest grid two windows are used: a wide one, and for what is small a narrow one, because a wide window would lose
 * it. On finer grids the wide one is small enough.
 */
import { type ImageTensor, imageSize } from "../media/resize.js";
import { FunctionPainter, type Region } from "./function-painter.js";
import { emptyGridPicture, type GridPicture, gridPicture, MOTION_GRID, toGrid } from "./grid.js";
import type { Marks, ProbabilityMap } from "./probability-map.js";
import { type AffineFunctions, type Samples, WindowFit } from "./window-fit.js";

/** Radius of the windows in cells. */
const wide = 3;
const narrow = 1;
/** Variance of colors (0 to 1) below which a window is flat: on the coarsest grid, and on finer ones. */
const coarseFlatness = 3e-4;
const fineFlatness = 1e-4;
/** How much of a wide window what is marked fills somewhere near, from which on the narrow one does not count, and does. */
const narrowBelow = 0.4;
const wideAbove = 0.7;
/** Means below this are taken for none. */
const nothing = 0.02;
/** How far "near" is, in cells. */
const reach = 4;

/** The cells at which functions can be other than zero, those near what is marked; `undefined` where nothing is. */
function markedRegion(plane: Float32Array, side: number): Region | undefined {
  let [left, right, top, bottom] = [side, -1, side, -1];
  for (let y = 0, i = 0; y < side; y++) {
    for (let x = 0; x < side; x++, i++) {
      if (plane[i]! <= nothing) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      bottom = y;
    }
  }
  if (bottom < 0) return undefined;
  // Windows around the cells of windows reach no further.
  const margin = 2 * wide + 1;
  left = Math.max(0, left - margin);
  top = Math.max(0, top - margin);
  const width = Math.min(side, right + 1 + margin) - left;
  return { left, top, width, height: Math.min(side, bottom + 1 + margin) - top };
}

/** Lines of a region of cells: how many, cells in each, and the distances between lines and between cells. */
interface Lines {
  readonly count: number;
  readonly cells: number;
  readonly across: number;
  readonly along: number;
}

/** Replaces every cell by the largest along its line within `reach` (a power of two) cells; `scratch` has room for a longer line. */
function spreadLargest(
  plane: Float32Array,
  { count, cells, across, along }: Lines,
  scratch: Float32Array,
): void {
  const length = cells + 2 * reach;
  for (let line = 0; line < count; line++) {
    scratch.fill(Number.NEGATIVE_INFINITY, 0, length);
    for (let k = 0, i = line * across; k < cells; k++, i += along) scratch[reach + k] = plane[i]!;
    // The largest of twice as many cells, from each one on.
    for (let step = 1; step <= reach; step *= 2) {
      for (let k = 0; k < length - step; k++) scratch[k] = larger(scratch[k]!, scratch[k + step]!);
    }
    for (let k = 0, i = line * across; k < cells; k++, i += along) {
      plane[i] = larger(scratch[k]!, scratch[k + 1]!);
    }
  }
}

/** `Math.max` without its care for NaN. */
function larger(a: number, b: number): number {
  return a > b ? a : b;
}

/** Fits edges of masks to pictures; keeps its working memory from call to call. */
export class EdgeRefiner {
  readonly #side: number;
  readonly #wide: WindowFit;
  readonly #narrow: NarrowFit | undefined;
  /** What is marked, red, green and blue, in a region. */
  readonly #samples: readonly [Float32Array, Float32Array, Float32Array, Float32Array];
  readonly #painter: FunctionPainter;
  #levels = new Uint8ClampedArray(0);

  /** Works on a grid of `side` x `side` cells, see `edgeGrid`. */
  constructor(side: number) {
    this.#side = side;
    const isFine = side > MOTION_GRID;
    const flatness = isFine ? fineFlatness : coarseFlatness;
    this.#wide = new WindowFit(wide, { side, flatness });
    this.#narrow = isFine ? undefined : new NarrowFit(this.#wide, { side, flatness });
    const plane = () => new Float32Array(side * side);
    this.#samples = [plane(), plane(), plane(), plane()];
    this.#painter = new FunctionPainter(side);
  }

  /**
   * The marks of a map at the size of `guide` (RGB, of `guideSize`): what is marked ends where the guide's objects do.
   * `grid` is the guide's `gridPicture`, for callers that have it. The next call overwrites the marks.
   */
  refine(map: ProbabilityMap, guide: ImageTensor, grid?: GridPicture): Marks {
    const side = this.#side;
    const { width, height } = imageSize(guide);
    if (this.#levels.length !== width * height) this.#levels = new Uint8ClampedArray(width * height);
    const levels = this.#levels.fill(0);
    if (map.activeClasses.length > 0) {
      const plane = toGrid(markedFraction(map), { width: map.width, height: map.height, side });
      const region = markedRegion(plane, side);
      if (region) {
        const { rgb } = grid ?? gridPicture(guide, emptyGridPicture(side));
        const functions = this.#fit(this.#samplesOf(plane, rgb, region));
        this.#painter.paint({ functions, region, guide }, levels);
      }
    }
    return { width, height, levels };
  }

  /** The cells of a region alone. */
  #samplesOf(plane: Float32Array, rgb: GridPicture["rgb"], { left, top, width, height }: Region): Samples {
    const cropped = (source: Float32Array, memory: Float32Array): Float32Array => {
      for (let y = 0; y < height; y++) {
        const from = (top + y) * this.#side + left;
        memory.set(source.subarray(from, from + width), y * width);
      }
      return memory.subarray(0, width * height);
    };
    const [marked, red, green, blue] = this.#samples;
    return {
      plane: cropped(plane, marked),
      rgb: [cropped(rgb[0], red), cropped(rgb[1], green), cropped(rgb[2], blue)],
      width,
    };
  }

  #fit(samples: Samples): AffineFunctions {
    const functions = this.#wide.fit(samples);
    this.#narrow?.mixInto(functions, samples);
    return functions;
  }
}

/** The functions of narrow windows, for what is small. */
class NarrowFit {
  readonly #wide: WindowFit;
  readonly #narrow: WindowFit;
  readonly #planes: readonly [Float32Array, Float32Array, Float32Array];
  readonly #line: Float32Array;

  constructor(wideFit: WindowFit, { side, flatness }: { readonly side: number; readonly flatness: number }) {
    this.#wide = wideFit;
    this.#narrow = new WindowFit(narrow, { side, flatness });
    const plane = () => new Float32Array(side * side);
    this.#planes = [plane(), plane(), plane()];
    this.#line = new Float32Array(side + 2 * reach);
  }

  /** Mixes them into those of wide windows, where these would lose what is marked. */
  mixInto(functions: AffineFunctions, samples: Samples): void {
    const weight = this.#weight(samples);
    if (!weight) return;
    const others = this.#narrow.fit(samples);
    for (const [k, target] of functions.entries()) mix(target, others[k]!, weight);
  }

  /** How much the narrow window counts in each cell; `undefined` where it does nowhere. */
  #weight({ plane, width }: Samples): Float32Array | undefined {
    const { length } = plane;
    const [marked, unmarked, weight] = this.#planes;
    const rows: Lines = { count: length / width, cells: width, across: width, along: 1 };
    const columns: Lines = { count: width, cells: length / width, across: 1, along: width };
    this.#wide.mean(plane, marked, width);
    for (let i = 0; i < length; i++) unmarked[i] = 1 - marked[i]!;
    for (const largest of [marked, unmarked]) {
      spreadLargest(largest, rows, this.#line);
      spreadLargest(largest, columns, this.#line);
    }
    let isNeeded = false;
    for (let i = 0; i < length; i++) {
      const fraction = (wideAbove - Math.min(marked[i]!, unmarked[i]!)) / (wideAbove - narrowBelow);
      weight[i] = Math.min(1, Math.max(0, fraction));
      // Far from what is marked both windows give nothing.
      isNeeded ||= weight[i]! > 0 && marked[i]! > nothing;
    }
    return isNeeded ? weight : undefined;
  }
}

function mix(target: Float32Array, source: Float32Array, weight: Float32Array): void {
  for (let i = 0; i < target.length; i++) target[i]! += weight[i]! * (source[i]! - target[i]!);
}

/** The marks of a map at its own resolution. */
function markedFraction({ probabilities, activeClasses }: ProbabilityMap): Float32Array {
  const background = probabilities.get(0)!;
  const [first = 0, ...others] = activeClasses;
  const out = probabilities.get(first)!.slice();
  for (const index of others) {
    const plane = probabilities.get(index)!;
    for (let i = 0; i < out.length; i++) out[i] = larger(out[i]!, plane[i]!);
  }
  for (let i = 0; i < out.length; i++) out[i] = 0.5 + (out[i]! - background[i]!) / 2;
  return out;
}
