/**
 * The coarse square grid on which motion and edges are worked out. A frame of any shape is stretched over it; guides, the
 * larger pictures beside it, have a whole number of pixels per cell.
 */
import { type ImageTensor, imageSize } from "../media/resize.js";
import type { FrameSize } from "../media/video.js";

/** Cells per row and column. Finer grids measured no better, for edges and for motion. */
export const GRID = 32;
const cells = GRID * GRID;
/** A guide's longer side, at most: as a fraction of the frame's, and in pixels. */
interface GuideLimits {
  readonly fraction: number;
  readonly pixels: number;
}

/** For masks that are written; at 448x448 larger ones measured no better. */
const maskGuide: GuideLimits = { fraction: 0.43, pixels: 480 };
/** For the layers of an overlay, one per picture. */
const layerGuide: GuideLimits = { fraction: 0.29, pixels: 320 };

function guideWithin({ width, height }: FrameSize, { fraction, pixels }: GuideLimits): FrameSize {
  const scale = Math.min(fraction, pixels / Math.max(width, height));
  const fitted = (side: number) => GRID * Math.max(1, Math.round((side * scale) / GRID));
  return { width: fitted(width), height: fitted(height) };
}

/** Size of the guide of masks for frames of a size. */
export function guideSize(frame: FrameSize): FrameSize {
  return guideWithin(frame, maskGuide);
}

/** Size of the guide of an overlay's layers for frames of a size. */
export function layerSize(frame: FrameSize): FrameSize {
  return guideWithin(frame, layerGuide);
}

/** A picture on the grid, row by row. */
export interface GridPicture {
  /** Red, green and blue, 0 to 1. */
  readonly rgb: readonly [Float32Array, Float32Array, Float32Array];
  /** 0 to 255. */
  readonly luma: Float32Array;
}

/** The mean colors of a guide's cells. Throws `RangeError` for other sizes than `guideSize` gives. */
export function gridPicture(guide: ImageTensor): GridPicture {
  const { width, height, channels } = imageSize(guide);
  if (channels !== 3 || width % GRID !== 0 || height % GRID !== 0) {
    throw new RangeError(
      `guide: expected u8[H,W,3] with sides that are multiples of ${GRID}, got ${guide.shape}`,
    );
  }
  const rgb = [new Float32Array(cells), new Float32Array(cells), new Float32Array(cells)] as const;
  const luma = new Float32Array(cells);
  sumCells(guide.data, { width: width / GRID, height: height / GRID }, rgb);
  scaleCells(rgb, (width * height) / cells, luma);
  return { rgb, luma };
}

// The loops are functions of their own, whose code V8 keeps: it discards that of a function which it compiled within a
// loop, once the function gets to what follows. The `map` of an array takes six times as long.

/** Adds the colors of a guide's pixels to those of its cells of `size` pixels. */
function sumCells(data: Uint8Array, size: FrameSize, [red, green, blue]: GridPicture["rgb"]): void {
  const { width: across, height: down } = size;
  let at = 0;
  for (let y = 0; y < GRID * down; y++) {
    const row = Math.floor(y / down) * GRID;
    for (let cell = row; cell < row + GRID; cell++) {
      let r = 0;
      let g = 0;
      let b = 0;
      for (let x = 0; x < across; x++, at += 3) {
        r += data[at]!;
        g += data[at + 1]!;
        b += data[at + 2]!;
      }
      red[cell]! += r;
      green[cell]! += g;
      blue[cell]! += b;
    }
  }
}

/** Sums of `pixels` colors to means from 0 to 1, and the luma that goes with them. */
function scaleCells([red, green, blue]: GridPicture["rgb"], pixels: number, luma: Float32Array): void {
  for (let i = 0; i < cells; i++) {
    luma[i] = (0.299 * red[i]! + 0.587 * green[i]! + 0.114 * blue[i]!) / pixels;
    red[i]! /= 255 * pixels;
    green[i]! /= 255 * pixels;
    blue[i]! /= 255 * pixels;
  }
}

/** Means over (2 radius + 1)^2 cells around every cell; beyond the border the border's values repeat. */
export class BoxFilter {
  readonly #radius: number;
  readonly #rows = new Float32Array(cells);
  readonly #sums = new Float32Array(GRID);

  constructor(radius: number) {
    this.#radius = radius;
  }

  /** Writes the means of `plane` into `out`, which may be `plane` itself. */
  mean(plane: Float32Array, out: Float32Array): Float32Array {
    const rows = this.#rows;
    const radius = this.#radius;
    for (let y = 0; y < cells; y += GRID) {
      const [first, last] = [plane[y]!, plane[y + GRID - 1]!];
      let sum = radius * first;
      for (let i = y; i <= y + radius; i++) sum += plane[i]!;
      let i = y;
      for (; i < y + radius; i++) {
        rows[i] = sum;
        sum += plane[i + radius + 1]! - first;
      }
      for (; i < y + GRID - 1 - radius; i++) {
        rows[i] = sum;
        sum += plane[i + radius + 1]! - plane[i - radius]!;
      }
      for (; i < y + GRID; i++) {
        rows[i] = sum;
        sum += last - plane[i - radius]!;
      }
    }
    return this.#columns(out);
  }

  /** Writes the means of the products of two planes into `out`. */
  meanOfProduct(a: Float32Array, b: Float32Array, out: Float32Array): Float32Array {
    const rows = this.#rows;
    const radius = this.#radius;
    for (let y = 0; y < cells; y += GRID) {
      const first = a[y]! * b[y]!;
      const last = a[y + GRID - 1]! * b[y + GRID - 1]!;
      let sum = radius * a[y]! * b[y]!;
      for (let i = y; i <= y + radius; i++) sum += a[i]! * b[i]!;
      let i = y;
      for (; i < y + radius; i++) {
        rows[i] = sum;
        sum += a[i + radius + 1]! * b[i + radius + 1]! - first;
      }
      for (; i < y + GRID - 1 - radius; i++) {
        rows[i] = sum;
        sum += a[i + radius + 1]! * b[i + radius + 1]! - a[i - radius]! * b[i - radius]!;
      }
      for (; i < y + GRID; i++) {
        rows[i] = sum;
        sum += last - a[i - radius]! * b[i - radius]!;
      }
    }
    return this.#columns(out);
  }

  /** Means of columns of `#rows`; a row of cells at a time, as they lie in memory. */
  #columns(out: Float32Array): Float32Array {
    const rows = this.#rows;
    const radius = this.#radius;
    const scale = 1 / (2 * radius + 1) ** 2;
    const sums = this.#sums;
    for (let x = 0; x < GRID; x++) {
      let sum = radius * rows[x]!;
      for (let y = 0; y <= radius; y++) sum += rows[y * GRID + x]!;
      sums[x] = sum;
    }
    for (let y = 0; y < GRID; y++) {
      const enter = Math.min(GRID - 1, y + radius + 1) * GRID;
      const leave = Math.max(0, y - radius) * GRID;
      for (let x = 0, i = y * GRID; x < GRID; x++, i++) {
        out[i] = scale * sums[x]!;
        sums[x]! += rows[enter + x]! - rows[leave + x]!;
      }
    }
    return out;
  }
}

/** A plane of `width` x `height` on the grid: means over its cells, or, for smaller planes, bilinear values. */
export function toGrid(plane: Float32Array, width: number, height: number): Float32Array {
  if (width === GRID && height === GRID) return plane;
  const narrow = new Float32Array(height * GRID);
  const out = new Float32Array(cells);
  narrowRows(plane, { width, height }, narrow);
  narrowColumns(narrow, height, out);
  return out;
}

/** Writes every row of a plane of `size`, at the grid's width, into `out`. */
function narrowRows(plane: Float32Array, { width, height }: FrameSize, out: Float32Array): void {
  const columns = axisWeights(width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < GRID; x++) {
      let sum = 0;
      for (const [i, weight] of columns[x]!) sum += weight * plane[y * width + i]!;
      out[y * GRID + x] = sum;
    }
  }
}

/** Adds a plane of the grid's width, at the grid's height, to `out`. */
function narrowColumns(plane: Float32Array, height: number, out: Float32Array): void {
  const rows = axisWeights(height);
  for (let y = 0; y < GRID; y++) {
    for (const [i, weight] of rows[y]!) {
      for (let x = 0; x < GRID; x++) out[y * GRID + x]! += weight * plane[i * GRID + x]!;
    }
  }
}

/** For every cell along an axis, the samples that it covers and their weights, which sum to one. */
function axisWeights(size: number): [index: number, weight: number][][] {
  const step = size / GRID;
  return Array.from({ length: GRID }, (_, cell) => {
    if (step < 1) {
      const at = Math.min(size - 1, Math.max(0, (cell + 0.5) * step - 0.5));
      const low = Math.floor(at);
      return [
        [low, 1 - (at - low)],
        [Math.min(size - 1, low + 1), at - low],
      ];
    }
    const [from, to] = [cell * step, (cell + 1) * step];
    const covered: [number, number][] = [];
    for (let i = Math.floor(from); i < Math.min(size, Math.ceil(to - 1e-9)); i++) {
      covered.push([i, (Math.min(to, i + 1) - Math.max(from, i)) / step]);
    }
    return covered;
  });
}
