/**
 * Coarse square grids on which motion and edges are worked out. A frame of any shape is stretched over them; guides, the
 * larger pictures beside them, have a whole number of pixels per cell.
 */
import { type ImageTensor, imageSize } from "../media/resize.js";
import type { FrameSize } from "../media/video.js";

/** Cells per row and column of the grid on which motion is found. Finer ones measured no better. */
export const MOTION_GRID = 32;
/** Side of the frames that a model takes, in pixels. */
interface FramesOfModel {
  readonly imageSize: number;
}

/** Edges are fitted on no finer grid than this many times the motion's. */
const finest = 4;

/**
 * Cells per row and column of the grid on which the edges of a model's masks are fitted: as many as its finest features have
 * at least (a quarter of its frames' side), because a coarser grid would lose what the model has found. A multiple of
 * `MOTION_GRID`.
 */
export function edgeGrid({ imageSize }: FramesOfModel): number {
  return MOTION_GRID * Math.min(finest, Math.ceil(imageSize / 4 / MOTION_GRID));
}

/** How large a guide is. */
interface GuideLimits {
  /** Its longer side, at most: as a fraction of the frame's, and in pixels. */
  readonly fraction: number;
  readonly pixels: number;
  /** Pixels along a cell, at least, where the frame has as many. */
  readonly perCell: number;
}

/** For masks that are written. */
const maskGuide: GuideLimits = { fraction: 0.43, pixels: 480, perCell: 3 };
/** For the layers of an overlay, one per picture. */
const layerGuide: GuideLimits = { fraction: 0.29, pixels: 320, perCell: 2 };

function guideWithin(
  { width, height }: FrameSize,
  model: FramesOfModel,
  { fraction, pixels, perCell }: GuideLimits,
): FrameSize {
  const grid = edgeGrid(model);
  const scale = Math.min(fraction, pixels / Math.max(width, height));
  const fitted = (side: number) => {
    const least = Math.min(perCell, Math.floor(side / grid));
    return grid * Math.max(1, least, Math.round((side * scale) / grid));
  };
  return { width: fitted(width), height: fitted(height) };
}

/** Size of the guide of masks for frames of a size, with a whole number of pixels per cell of the model's `edgeGrid`. */
export function guideSize(frame: FrameSize, model: FramesOfModel): FrameSize {
  return guideWithin(frame, model, maskGuide);
}

/** Size of the guide of an overlay's layers for frames of a size. */
export function layerSize(frame: FrameSize, model: FramesOfModel): FrameSize {
  return guideWithin(frame, model, layerGuide);
}

/** A picture on a grid, row by row. */
export interface GridPicture {
  /** Cells per row and column. */
  readonly side: number;
  /** Red, green and blue, 0 to 1. */
  readonly rgb: readonly [Float32Array, Float32Array, Float32Array];
  /** 0 to 255. */
  readonly luma: Float32Array;
}

/** The mean colors of a guide's cells. Throws `RangeError` for other sizes than `guideSize` gives for `side`. */
export function gridPicture(guide: ImageTensor, side: number): GridPicture {
  const { width, height, channels } = imageSize(guide);
  if (channels !== 3 || width % side !== 0 || height % side !== 0) {
    throw new RangeError(
      `guide: expected u8[H,W,3] with sides that are multiples of ${side}, got ${guide.shape}`,
    );
  }
  const cells = side * side;
  const rgb = [new Float32Array(cells), new Float32Array(cells), new Float32Array(cells)] as const;
  const luma = new Float32Array(cells);
  sumCells(guide.data, { side, across: width / side, down: height / side }, rgb);
  scaleCells(rgb, (width * height) / cells, luma);
  return { side, rgb, luma };
}

// The loops are functions of their own, whose code V8 keeps: it discards that of a function which it compiled within a
// loop, once the function gets to what follows. The `map` of an array takes six times as long.

/** Adds the colors of a guide's pixels to those of its cells of `across` x `down` pixels. */
function sumCells(
  data: Uint8Array,
  { side, across, down }: { readonly side: number; readonly across: number; readonly down: number },
  [red, green, blue]: GridPicture["rgb"],
): void {
  let at = 0;
  for (let y = 0; y < side * down; y++) {
    const row = Math.floor(y / down) * side;
    for (let cell = row; cell < row + side; cell++) {
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
  for (let i = 0; i < luma.length; i++) {
    luma[i] = (0.299 * red[i]! + 0.587 * green[i]! + 0.114 * blue[i]!) / pixels;
    red[i]! /= 255 * pixels;
    green[i]! /= 255 * pixels;
    blue[i]! /= 255 * pixels;
  }
}

/**
 * Means over (2 radius + 1)^2 cells around every cell of a grid, or of some of its rows; beyond the border the border's
 * values repeat.
 */
export class BoxFilter {
  readonly #radius: number;
  readonly #side: number;
  readonly #rows: Float32Array;
  readonly #sums: Float32Array;

  /** For planes of `side` columns and at most as many rows, both more than `2 * radius`. */
  constructor(radius: number, side: number) {
    this.#radius = radius;
    this.#side = side;
    this.#rows = new Float32Array(side * side);
    this.#sums = new Float32Array(side);
  }

  /** Writes the means of the first `length` cells of `plane` into `out`, which may be `plane` itself. */
  mean(plane: Float32Array, out: Float32Array, length = plane.length): Float32Array {
    const rows = this.#rows;
    const radius = this.#radius;
    const side = this.#side;
    for (let y = 0; y < length; y += side) {
      const [first, last] = [plane[y]!, plane[y + side - 1]!];
      let sum = radius * first;
      for (let i = y; i <= y + radius; i++) sum += plane[i]!;
      let i = y;
      for (; i < y + radius; i++) {
        rows[i] = sum;
        sum += plane[i + radius + 1]! - first;
      }
      for (; i < y + side - 1 - radius; i++) {
        rows[i] = sum;
        sum += plane[i + radius + 1]! - plane[i - radius]!;
      }
      for (; i < y + side; i++) {
        rows[i] = sum;
        sum += last - plane[i - radius]!;
      }
    }
    return this.#columns(out, length);
  }

  /** Writes the means of the products of two planes of equal size into `out`. */
  meanOfProduct(a: Float32Array, b: Float32Array, out: Float32Array): Float32Array {
    const rows = this.#rows;
    const radius = this.#radius;
    const side = this.#side;
    for (let y = 0; y < a.length; y += side) {
      const first = a[y]! * b[y]!;
      const last = a[y + side - 1]! * b[y + side - 1]!;
      let sum = radius * a[y]! * b[y]!;
      for (let i = y; i <= y + radius; i++) sum += a[i]! * b[i]!;
      let i = y;
      for (; i < y + radius; i++) {
        rows[i] = sum;
        sum += a[i + radius + 1]! * b[i + radius + 1]! - first;
      }
      for (; i < y + side - 1 - radius; i++) {
        rows[i] = sum;
        sum += a[i + radius + 1]! * b[i + radius + 1]! - a[i - radius]! * b[i - radius]!;
      }
      for (; i < y + side; i++) {
        rows[i] = sum;
        sum += last - a[i - radius]! * b[i - radius]!;
      }
    }
    return this.#columns(out, a.length);
  }

  /** Means of columns of the first `length` cells of `#rows`; a row of cells at a time, as they lie in memory. */
  #columns(out: Float32Array, length: number): Float32Array {
    const rows = this.#rows;
    const radius = this.#radius;
    const side = this.#side;
    const scale = 1 / (2 * radius + 1) ** 2;
    const sums = this.#sums;
    for (let x = 0; x < side; x++) {
      let sum = radius * rows[x]!;
      for (let y = 0; y <= radius; y++) sum += rows[y * side + x]!;
      sums[x] = sum;
    }
    const height = length / side;
    for (let y = 0; y < height; y++) {
      const enter = Math.min(height - 1, y + radius + 1) * side;
      const leave = Math.max(0, y - radius) * side;
      for (let x = 0, i = y * side; x < side; x++, i++) {
        out[i] = scale * sums[x]!;
        sums[x]! += rows[enter + x]! - rows[leave + x]!;
      }
    }
    return out;
  }
}

/** The size of a plane, and the cells per row and column of the grid that it is brought to. */
type ToGrid = FrameSize & { readonly side: number };

/** A plane on a grid of `side` x `side` cells: means over cells, or, for smaller planes, bilinear values. */
export function toGrid(plane: Float32Array, size: ToGrid): Float32Array {
  const { width, height, side } = size;
  if (width === side && height === side) return plane;
  const narrow = new Float32Array(height * side);
  const out = new Float32Array(side * side);
  narrowRows(plane, size, narrow);
  narrowColumns(narrow, size, out);
  return out;
}

/** Writes every row of a plane, at the grid's width, into `out`. */
function narrowRows(plane: Float32Array, { width, height, side }: ToGrid, out: Float32Array): void {
  const columns = axisWeights(width, side);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < side; x++) {
      let sum = 0;
      for (const [i, weight] of columns[x]!) sum += weight * plane[y * width + i]!;
      out[y * side + x] = sum;
    }
  }
}

/** Adds a plane of the grid's width, at the grid's height, to `out`. */
function narrowColumns(plane: Float32Array, { height, side }: ToGrid, out: Float32Array): void {
  const rows = axisWeights(height, side);
  for (let y = 0; y < side; y++) {
    for (const [i, weight] of rows[y]!) {
      for (let x = 0; x < side; x++) out[y * side + x]! += weight * plane[i * side + x]!;
    }
  }
}

/** For each of `cells` cells along an axis, the samples that it covers and their weights, which sum to one. */
function axisWeights(size: number, cells: number): [index: number, weight: number][][] {
  const step = size / cells;
  return Array.from({ length: cells }, (_, cell) => {
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
