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

/** A picture on a grid: the mean colors of its cells, row by row. */
export interface GridPicture {
  /** Cells per row and column. */
  readonly side: number;
  /** Red, green and blue, 0 to 1. */
  readonly rgb: readonly [red: Float32Array, green: Float32Array, blue: Float32Array];
}

/** A black picture, for `gridPicture` to overwrite. */
export function emptyGridPicture(side: number): GridPicture {
  const plane = () => new Float32Array(side * side);
  return { side, rgb: [plane(), plane(), plane()] };
}

/**
 * The mean colors of a guide's cells, written into `grid`. Throws `RangeError` where its sides are not multiples of the
 * grid's.
 */
export function gridPicture(guide: ImageTensor, grid: GridPicture): GridPicture {
  const { side } = grid;
  const { width, height, channels } = imageSize(guide);
  if (channels !== 3 || width % side !== 0 || height % side !== 0) {
    throw new RangeError(
      `guide: expected u8[H,W,3] with sides that are multiples of ${side}, got ${guide.shape}`,
    );
  }
  meanColors(guide.data, { side, across: width / side, down: height / side }, grid.rgb);
  return grid;
}

// The loops are functions of their own, whose code V8 keeps: it discards that of a function which it compiled within a
// loop, once the function gets to what follows. The `map` of an array takes six times as long.

/** Writes the mean colors of cells of `across` x `down` pixels. */
function meanColors(
  data: Uint8Array,
  { side, across, down }: { readonly side: number; readonly across: number; readonly down: number },
  [red, green, blue]: GridPicture["rgb"],
): void {
  const scale = 1 / (255 * across * down);
  const stride = 3 * side * across;
  for (let cy = 0, cell = 0; cy < side; cy++) {
    for (let cx = 0; cx < side; cx++, cell++) {
      let from = cy * down * stride + 3 * cx * across;
      let r = 0;
      let g = 0;
      let b = 0;
      for (let y = 0; y < down; y++, from += stride) {
        for (let at = from, end = from + 3 * across; at < end; at += 3) {
          r += data[at]!;
          g += data[at + 1]!;
          b += data[at + 2]!;
        }
      }
      red[cell] = scale * r;
      green[cell] = scale * g;
      blue[cell] = scale * b;
    }
  }
}

/** Writes the luma (0 to 255) of a picture on the grid on which motion is found into `out`. */
export function motionLuma({ side, rgb: [red, green, blue] }: GridPicture, out: Float32Array): Float32Array {
  const across = side / MOTION_GRID;
  const scale = 255 / across ** 2;
  for (let cy = 0, cell = 0; cy < MOTION_GRID; cy++) {
    for (let cx = 0; cx < MOTION_GRID; cx++, cell++) {
      let from = (cy * side + cx) * across;
      let sum = 0;
      for (let y = 0; y < across; y++, from += side) {
        for (let i = from; i < from + across; i++) {
          sum += 0.299 * red[i]! + 0.587 * green[i]! + 0.114 * blue[i]!;
        }
      }
      out[cell] = scale * sum;
    }
  }
  return out;
}

/** The size of a plane, and the cells per row and column of the grid that it is brought to. */
type ToGrid = FrameSize & { readonly side: number };

/** A plane on a grid of `side` x `side` cells: means over cells, or, for smaller planes, bilinear values. May be `plane`. */
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
  const { starts, indices, weights } = axisWeights(width, side);
  for (let y = 0, cell = 0; y < height; y++) {
    for (let x = 0; x < side; x++, cell++) {
      let sum = 0;
      for (let k = starts[x]!; k < starts[x + 1]!; k++) sum += weights[k]! * plane[y * width + indices[k]!]!;
      out[cell] = sum;
    }
  }
}

/** Adds a plane of the grid's width, at the grid's height, to `out`. */
function narrowColumns(plane: Float32Array, { height, side }: ToGrid, out: Float32Array): void {
  const { starts, indices, weights } = axisWeights(height, side);
  for (let y = 0; y < side; y++) {
    for (let k = starts[y]!; k < starts[y + 1]!; k++) {
      const weight = weights[k]!;
      const row = indices[k]! * side;
      for (let x = 0; x < side; x++) out[y * side + x]! += weight * plane[row + x]!;
    }
  }
}

/** For each cell along an axis, the samples that it covers, from `starts[cell]` to `starts[cell + 1]`; weights sum to one. */
interface AxisWeights {
  readonly starts: readonly number[];
  readonly indices: readonly number[];
  readonly weights: readonly number[];
}

function axisWeights(size: number, cells: number): AxisWeights {
  const step = size / cells;
  const [starts, indices, weights]: [number[], number[], number[]] = [[0], [], []];
  for (let cell = 0; cell < cells; cell++) {
    if (step < 1) {
      const at = Math.min(size - 1, Math.max(0, (cell + 0.5) * step - 0.5));
      const low = Math.floor(at);
      indices.push(low, Math.min(size - 1, low + 1));
      weights.push(1 - (at - low), at - low);
    } else {
      const [from, to] = [cell * step, (cell + 1) * step];
      for (let i = Math.floor(from); i < Math.min(size, Math.ceil(to - 1e-9)); i++) {
        indices.push(i);
        weights.push((Math.min(to, i + 1) - Math.max(from, i)) / step);
      }
    }
    starts.push(indices.length);
  }
  return { starts, indices, weights };
}
