/**
 * Edges of masks fitted to those of the picture: the fast guided filter (He and Sun, 2015, arXiv:1505.00996) with a color
 * guide (He, Sun and Tang, "Guided Image Filtering", PAMI 2013, section 3.5). In a window of the grid a mask is an affine
 * function of the colors, found by least squares; the functions are then applied to the guide's pixels. On the
 * coarsest grid two windows are used: a wide one, and for what is small a narrow one, because a wide window would lose
 * it. On finer grids the wide one is small enough.
 */
import { type ImageTensor, imageSize } from "../media/resize.js";
import { BoxFilter, type GridPicture, gridPicture, MOTION_GRID, toGrid } from "./grid.js";
import type { Marks, ProbabilityMap } from "./probability-map.js";

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

/** Affine functions of red, green and blue, one per cell: three slopes and an offset. */
type Functions = readonly [Float32Array, Float32Array, Float32Array, Float32Array];

/** Rows of a grid of `side` columns, from `top` up to, not including, `bottom`. */
interface Band {
  readonly side: number;
  readonly top: number;
  readonly bottom: number;
}

/** The rows in which functions can be other than zero: those near what is marked. */
function markedBand(plane: Float32Array, side: number): Band {
  const isMarked = (value: number) => value > nothing;
  const first = plane.findIndex(isMarked);
  if (first < 0) return { side, top: 0, bottom: 0 };
  const last = plane.findLastIndex(isMarked);
  // Windows around the cells of windows.
  const margin = 2 * wide;
  return {
    side,
    top: Math.max(0, Math.floor(first / side) - margin),
    bottom: Math.min(side, Math.floor(last / side) + 1 + margin),
  };
}

/** The rows of a plane of the grid. */
function rowsOf(plane: Float32Array, { side, top, bottom }: Band): Float32Array {
  return plane.subarray(top * side, bottom * side);
}

/** Fits functions in windows of one size. The planes that it returns are overwritten by the next fit. */
class WindowFit {
  readonly #box: BoxFilter;
  readonly #flatness: number;
  readonly #planes: readonly Float32Array[];

  constructor(radius: number, side: number, flatness: number) {
    this.#box = new BoxFilter(radius, side);
    this.#flatness = flatness;
    this.#planes = Array.from({ length: 13 }, () => new Float32Array(side * side));
  }

  /** The means of a plane. */
  mean(plane: Float32Array): Float32Array {
    return this.#box.mean(plane, this.#planes[0]!);
  }

  /** The functions of the picture's colors that come nearest to `plane`; all planes have the same rows of the grid. */
  fit([red, green, blue]: GridPicture["rgb"], plane: Float32Array): Functions {
    const box = this.#box;
    const flatness = this.#flatness;
    const mp = this.mean(plane);
    const mr = box.mean(red, this.#planes[1]!);
    const mg = box.mean(green, this.#planes[2]!);
    const mb = box.mean(blue, this.#planes[3]!);
    const rr = box.meanOfProduct(red, red, this.#planes[4]!);
    const rg = box.meanOfProduct(red, green, this.#planes[5]!);
    const rb = box.meanOfProduct(red, blue, this.#planes[6]!);
    const gg = box.meanOfProduct(green, green, this.#planes[7]!);
    const gb = box.meanOfProduct(green, blue, this.#planes[8]!);
    const bb = box.meanOfProduct(blue, blue, this.#planes[9]!);
    const rp = box.meanOfProduct(red, plane, this.#planes[10]!);
    const gp = box.meanOfProduct(green, plane, this.#planes[11]!);
    const bp = box.meanOfProduct(blue, plane, this.#planes[12]!);
    for (let i = 0; i < plane.length; i++) {
      const r = mr[i]!;
      const g = mg[i]!;
      const b = mb[i]!;
      const p = mp[i]!;
      // The symmetric matrix of covariances, and its inverse by cofactors.
      const xx = rr[i]! - r * r + flatness;
      const xy = rg[i]! - r * g;
      const xz = rb[i]! - r * b;
      const yy = gg[i]! - g * g + flatness;
      const yz = gb[i]! - g * b;
      const zz = bb[i]! - b * b + flatness;
      const cxx = yy * zz - yz * yz;
      const cxy = xz * yz - xy * zz;
      const cxz = xy * yz - xz * yy;
      const scale = 1 / (xx * cxx + xy * cxy + xz * cxz);
      const x = (rp[i]! - r * p) * scale;
      const y = (gp[i]! - g * p) * scale;
      const z = (bp[i]! - b * p) * scale;
      const cyz = xy * xz - xx * yz;
      const slopeR = cxx * x + cxy * y + cxz * z;
      const slopeG = cxy * x + (xx * zz - xz * xz) * y + cyz * z;
      const slopeB = cxz * x + cyz * y + (xx * yy - xy * xy) * z;
      rp[i] = slopeR;
      gp[i] = slopeG;
      bp[i] = slopeB;
      mp[i] = p - slopeR * r - slopeG * g - slopeB * b;
    }
    const { length } = plane;
    return [
      box.mean(rp, rp, length),
      box.mean(gp, gp, length),
      box.mean(bp, bp, length),
      box.mean(mp, mp, length),
    ];
  }
}

/** Lines of cells in a plane: how many, cells in each, and the distances between lines and between cells. */
interface Lines {
  readonly count: number;
  readonly cells: number;
  readonly across: number;
  readonly along: number;
}

/** Writes the largest value along its line within `reach` cells of every cell into `out`. */
function largestAlong(source: Float32Array, { count, cells, across, along }: Lines, out: Float32Array): void {
  for (let line = 0; line < count; line++) {
    for (let k = 0; k < cells; k++) {
      let largest = Number.NEGATIVE_INFINITY;
      const end = Math.min(cells - 1, k + reach);
      for (let j = Math.max(0, k - reach); j <= end; j++) {
        const value = source[line * across + j * along]!;
        if (value > largest) largest = value;
      }
      out[line * across + k * along] = largest;
    }
  }
}

/** Fits edges of masks to pictures; keeps its working memory from call to call. */
export class EdgeRefiner {
  readonly #side: number;
  readonly #wide: WindowFit;
  readonly #narrow: WindowFit | undefined;
  readonly #planes: readonly Float32Array[];
  #levels = new Uint8ClampedArray(0);

  /** Works on a grid of `side` x `side` cells, see `edgeGrid`. */
  constructor(side: number) {
    this.#side = side;
    const isFine = side > MOTION_GRID;
    const flatness = isFine ? fineFlatness : coarseFlatness;
    this.#wide = new WindowFit(wide, side, flatness);
    this.#narrow = isFine ? undefined : new WindowFit(narrow, side, flatness);
    this.#planes = Array.from({ length: 4 }, () => new Float32Array(side * side));
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
      const band = markedBand(plane, side);
      if (band.bottom > band.top) {
        const [red, green, blue] = (grid ?? gridPicture(guide, side)).rgb;
        const rgb = [rowsOf(red, band), rowsOf(green, band), rowsOf(blue, band)] as const;
        const functions = this.#functions(rowsOf(plane, band), rgb);
        applyFunctions({ functions, band, guide }, levels);
      }
    }
    return { width, height, levels };
  }

  /** The functions of some rows of the grid, in the first cells of their planes. */
  #functions(plane: Float32Array, rgb: GridPicture["rgb"]): Functions {
    const narrowWeight = this.#narrow && this.#narrowWeight(plane);
    const functions = this.#wide.fit(rgb, plane);
    if (!(this.#narrow && narrowWeight)) return functions;
    const others = this.#narrow.fit(rgb, plane);
    for (let k = 0; k < 4; k++) {
      const [target, source] = [functions[k]!, others[k]!];
      for (let i = 0; i < plane.length; i++) target[i]! += narrowWeight[i]! * (source[i]! - target[i]!);
    }
    return functions;
  }

  /** How much the narrow window counts in each cell; `undefined` where it does nowhere. */
  #narrowWeight(plane: Float32Array): Float32Array | undefined {
    const [marked, unmarked, lines, narrowWeight] = this.#planes as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const side = this.#side;
    const { length } = plane;
    const rows: Lines = { count: length / side, cells: side, across: side, along: 1 };
    const columns: Lines = { count: side, cells: length / side, across: 1, along: side };
    const mean = this.#wide.mean(plane);
    largestAlong(mean, rows, lines);
    largestAlong(lines, columns, marked);
    for (let i = 0; i < length; i++) mean[i] = 1 - mean[i]!;
    largestAlong(mean, rows, lines);
    largestAlong(lines, columns, unmarked);
    let isNeeded = false;
    for (let i = 0; i < length; i++) {
      const weight = (wideAbove - Math.min(marked[i]!, unmarked[i]!)) / (wideAbove - narrowBelow);
      narrowWeight[i] = Math.min(1, Math.max(0, weight));
      // Far from what is marked both windows give nothing.
      isNeeded ||= narrowWeight[i]! > 0 && marked[i]! > nothing;
    }
    return isNeeded ? narrowWeight : undefined;
  }
}

/** Levels below this are zero; a little less than a half, as bounds are rounded. */
const leastLevel = 0.49;

/** For each of the first `length` cells, the largest level that its function gives to any color. */
function largestLevels([slopeR, slopeG, slopeB, offset]: Functions, length: number): Float32Array {
  const out = new Float32Array(length);
  for (let i = 0; i < out.length; i++) {
    const red = Math.max(0, slopeR[i]!);
    const green = Math.max(0, slopeG[i]!);
    const blue = Math.max(0, slopeB[i]!);
    out[i] = 255 * (offset[i]! + red + green + blue);
  }
  return out;
}

/**
 * Writes 255 times the functions, interpolated between cells, of the guide's colors into `out`, whose elements are zero.
 * Where no color gives a level, nothing is computed: that is most of a picture. The functions are those of a band, at whose
 * edges within the grid they are zero.
 */
function applyFunctions(
  { functions, band, guide }: { functions: Functions; band: Band; guide: ImageTensor },
  out: Uint8ClampedArray,
): void {
  const [slopeR, slopeG, slopeB, offset] = functions;
  const { side, top, bottom } = band;
  const { width, height } = imageSize(guide);
  const { data } = guide;
  const largest = largestLevels(functions, (bottom - top) * side);
  /** One row of functions, with the first and the last cell repeated: red, green, blue and offset of each. */
  const line = new Float32Array(4 * (side + 2));
  const cell = width / side;
  /** Where the pixels end that lie between the centers of a cell and of the one before it. */
  const ends = Int32Array.from({ length: side + 1 }, (_, k) =>
    Math.min(width, Math.ceil((k + 0.5) * cell - 0.5)),
  );
  for (let y = 0; y < height; y++) {
    const at = Math.min(side - 1, Math.max(0, ((y + 0.5) * side) / height - 0.5));
    const row = Math.floor(at);
    const next = Math.min(side - 1, row + 1);
    if (row < top || next >= bottom) continue;
    const upper = (row - top) * side;
    const lower = (next - top) * side;
    const down = at - row;
    let [first, last] = [0, side - 1];
    const isEmpty = (x: number) => largest[upper + x]! < leastLevel && largest[lower + x]! < leastLevel;
    while (first < side && isEmpty(first)) first++;
    if (first === side) continue;
    while (isEmpty(last)) last--;
    // The cells whose functions reach the pixels between the first and the last one.
    const [from, to] = [Math.max(0, first - 1), Math.min(side - 1, last + 1)];
    for (let x = from, k = 4 * (from + 1); x <= to; x++, k += 4) {
      const u = upper + x;
      const l = lower + x;
      line[k] = slopeR[u]! + down * (slopeR[l]! - slopeR[u]!);
      line[k + 1] = slopeG[u]! + down * (slopeG[l]! - slopeG[u]!);
      line[k + 2] = slopeB[u]! + down * (slopeB[l]! - slopeB[u]!);
      line[k + 3] = 255 * (offset[u]! + down * (offset[l]! - offset[u]!));
    }
    if (from === 0) line.copyWithin(0, 4, 8);
    if (to === side - 1) line.copyWithin(4 * (side + 1), 4 * side, 4 * (side + 1));
    // From the center of one cell to that of the next the functions change by constant steps.
    let x = first === 0 ? 0 : ends[first - 1]!;
    let i = y * width + x;
    let j = 3 * i;
    for (let k = 4 * first; k <= 4 * (last + 1); k += 4) {
      const end = ends[k / 4]!;
      const stepR = (line[k + 4]! - line[k]!) / cell;
      const stepG = (line[k + 5]! - line[k + 1]!) / cell;
      const stepB = (line[k + 6]! - line[k + 2]!) / cell;
      const stepO = (line[k + 7]! - line[k + 3]!) / cell;
      const steps = x + 0.5 - (k / 4 - 0.5) * cell;
      let r = line[k]! + steps * stepR;
      let g = line[k + 1]! + steps * stepG;
      let b = line[k + 2]! + steps * stepB;
      let o = line[k + 3]! + steps * stepO;
      for (; x < end; x++, i++, j += 3) {
        out[i] = r * data[j]! + g * data[j + 1]! + b * data[j + 2]! + o;
        r += stepR;
        g += stepG;
        b += stepB;
        o += stepO;
      }
    }
  }
}

/** The marks of a map at its own resolution. */
function markedFraction({ probabilities, activeClasses }: ProbabilityMap): Float32Array {
  const background = probabilities.get(0)!;
  const out = new Float32Array(background.length);
  for (const index of activeClasses) {
    const plane = probabilities.get(index)!;
    for (let i = 0; i < out.length; i++) out[i] = Math.max(out[i]!, plane[i]!);
  }
  for (let i = 0; i < out.length; i++) out[i] = 0.5 + (out[i]! - background[i]!) / 2;
  return out;
}
