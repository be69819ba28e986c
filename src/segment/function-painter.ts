/** Affine functions of colors, one per cell of a grid, applied to the pixels of a picture. */
import { type ImageTensor, imageSize } from "../media/resize.js";
import type { AffineFunctions } from "./window-fit.js";

/** A rectangle of a grid's cells. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Levels below this are zero; a little less than a half, as bounds are rounded. */
const leastLevel = 0.49;

/** Functions of a region's cells, and the picture whose colors they are applied to. */
interface Painting {
  readonly functions: AffineFunctions;
  readonly region: Region;
  readonly guide: ImageTensor;
}

/** A row of pixels among the rows of a region. */
interface PixelRow {
  readonly y: number;
  /** The rows of cells above and below it, and how far down from the one to the other it lies, 0 to 1. */
  readonly upper: number;
  readonly lower: number;
  readonly down: number;
  /** The first and the last cell whose functions give a level. */
  readonly first: number;
  readonly last: number;
}

/** Applies functions to the pixels of pictures; keeps its working memory from call to call. */
export class FunctionPainter {
  readonly #side: number;
  /** Of each row of a region, the first and the last cell whose function gives a level to any color. */
  readonly #extents: Int32Array;
  /** One row of functions, with the first and the last cell repeated: red, green, blue and offset of each. */
  readonly #line: Float64Array;

  constructor(side: number) {
    this.#side = side;
    this.#extents = new Int32Array(2 * side);
    this.#line = new Float64Array(4 * (side + 2));
  }

  /**
   * Writes 255 times the functions, interpolated between cells, of the guide's colors into `levels`, whose elements are
   * zero. Where no color gives a level, nothing is computed: that is most of a picture. At the edges of the region within
   * the grid the functions must give none.
   */
  paint(painting: Painting, levels: Uint8ClampedArray): void {
    const { region, guide } = painting;
    const { height } = imageSize(guide);
    const side = this.#side;
    const extents = this.#extents;
    this.#findExtents(painting);
    for (let y = 0; y < height; y++) {
      const at = Math.min(side - 1, Math.max(0, ((y + 0.5) * side) / height - 0.5));
      const row = Math.floor(at);
      const upper = row - region.top;
      const lower = Math.min(side - 1, row + 1) - region.top;
      if (upper < 0 || lower >= region.height) continue;
      const first = Math.min(extents[2 * upper]!, extents[2 * lower]!);
      const last = Math.max(extents[2 * upper + 1]!, extents[2 * lower + 1]!);
      if (first > last) continue;
      const pixels: PixelRow = { y, upper, lower, down: at - row, first, last };
      this.#mixRows(painting, pixels);
      this.#paintRow(painting, pixels, levels);
    }
  }

  #findExtents({ functions: [red, green, blue, offset], region: { width, height } }: Painting): void {
    const extents = this.#extents;
    for (let y = 0, i = 0; y < height; y++) {
      let [first, last] = [width, -1];
      for (let x = 0; x < width; x++, i++) {
        // The largest level that the function gives to any color.
        const slopes = Math.max(0, red[i]!) + Math.max(0, green[i]!) + Math.max(0, blue[i]!);
        if (255 * (offset[i]! + slopes) < leastLevel) continue;
        if (first === width) first = x;
        last = x;
      }
      extents[2 * y] = first;
      extents[2 * y + 1] = last;
    }
  }

  /** Writes the functions of a row of pixels into `#line`. */
  #mixRows(
    { functions: [red, green, blue, offset], region: { width } }: Painting,
    { upper, lower, down, first, last }: PixelRow,
  ): void {
    const line = this.#line;
    const from = Math.max(0, first - 1);
    const to = Math.min(width - 1, last + 1);
    let u = upper * width + from;
    let l = lower * width + from;
    for (let k = 4 * (from + 1); k <= 4 * (to + 1); k += 4, u++, l++) {
      line[k] = red[u]! + down * (red[l]! - red[u]!);
      line[k + 1] = green[u]! + down * (green[l]! - green[u]!);
      line[k + 2] = blue[u]! + down * (blue[l]! - blue[u]!);
      line[k + 3] = 255 * (offset[u]! + down * (offset[l]! - offset[u]!));
    }
    if (from === 0) line.copyWithin(0, 4, 8);
    if (to === width - 1) line.copyWithin(4 * (width + 1), 4 * width, 4 * (width + 1));
  }

  /** Applies `#line` to the pixels of the row that its cells reach. */
  #paintRow(
    { region: { left }, guide }: Painting,
    { y, first, last }: PixelRow,
    levels: Uint8ClampedArray,
  ): void {
    const line = this.#line;
    const { data } = guide;
    const { width } = imageSize(guide);
    const cell = width / this.#side;
    const step = 1 / cell;
    // From the center of one cell to that of the next the functions change by constant steps. The first pixel between
    // them lies at the center, or half a pixel after it.
    const half = Math.floor(cell / 2);
    const steps = half + 0.5 - cell / 2;
    let x = Math.max(0, (left + first - 1) * cell + half);
    let i = y * width + x;
    let j = 3 * i;
    for (let k = 4 * first, next = (left + first) * cell + half; k <= 4 * (last + 1); k += 4, next += cell) {
      const end = Math.min(width, next);
      const stepR = step * (line[k + 4]! - line[k]!);
      const stepG = step * (line[k + 5]! - line[k + 1]!);
      const stepB = step * (line[k + 6]! - line[k + 2]!);
      const stepO = step * (line[k + 7]! - line[k + 3]!);
      let r = line[k]! + steps * stepR;
      let g = line[k + 1]! + steps * stepG;
      let b = line[k + 2]! + steps * stepB;
      let o = line[k + 3]! + steps * stepO;
      for (; x < end; x++, i++, j += 3) {
        levels[i] = r * data[j]! + g * data[j + 1]! + b * data[j + 2]! + o;
        r += stepR;
        g += stepG;
        b += stepB;
        o += stepO;
      }
    }
  }
}
