/** The motion between two pictures on the grid (Lucas and Kanade, 1981), and planes that are moved along it. */
import type { FrameSize } from "../media/video.js";
import { BoxFilter } from "./box-filter.js";
import { MOTION_GRID } from "./grid.js";

const side = MOTION_GRID;
const cells = side * side;
/** Radius of the windows whose motion is found as one, in cells. */
const windowRadius = 2;
const iterations = 3;
/** Holds flat windows still: added to the means of squared gradients of 8-bit luma. */
const damping = 8;
/** Two pictures whose luma differs by this much on average after motion belong to two shots. */
const cutDifference = 24;

/** Where the content of every cell of one picture lies in another: at (x + u, y + v), in cells. */
export interface Flow {
  readonly u: Float32Array;
  readonly v: Float32Array;
}

/** A flow without motion, for others to overwrite. */
export function emptyFlow(): Flow {
  return { u: new Float32Array(cells), v: new Float32Array(cells) };
}

/** Samples a grid between its cells; beyond the border the border's values repeat. */
function sample(grid: Float32Array, x: number, y: number): number {
  const cx = x < 0 ? 0 : x > side - 1 ? side - 1 : x;
  const cy = y < 0 ? 0 : y > side - 1 ? side - 1 : y;
  const left = cx | 0;
  const top = cy | 0;
  const right = left < side - 1 ? 1 : 0;
  const fx = cx - left;
  const fy = cy - top;
  const i = top * side + left;
  const j = top < side - 1 ? i + side : i;
  const upper = grid[i]! + fx * (grid[i + right]! - grid[i]!);
  const lower = grid[j]! + fx * (grid[j + right]! - grid[j]!);
  return upper + fy * (lower - upper);
}

/** Finds motion; keeps its working memory from call to call. */
export class FlowEstimator {
  readonly #box = new BoxFilter(windowRadius, side);
  readonly #planes = Array.from({ length: 7 }, () => new Float32Array(cells));

  /** The flow from picture `from` to picture `to`, given by their luma, written into `out`; `undefined` across a cut. */
  flow(from: Float32Array, to: Float32Array, out: Flow): Flow | undefined {
    const [gx, gy, xx, yy, xy, bx, by] = this.#planes as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    gradients(from, gx, gy);
    products({ gx, gy }, { xx, yy, xy });
    for (const plane of [xx, yy, xy]) this.#box.mean(plane, plane, side);
    const u = out.u.fill(0);
    const v = out.v.fill(0);
    for (let k = 0; k < iterations; k++) {
      changes({ from, to, u, v }, { gx, gy }, { bx, by });
      for (const plane of [bx, by]) this.#box.mean(plane, plane, side);
      improve({ u, v }, { xx, xy, yy }, { bx, by });
    }
    return meanDifference(from, to, out) > cutDifference ? undefined : out;
  }
}

// The loops are functions of their own, as in `grid.ts`.

/** Writes the differences of a grid's cells along both axes into `gx` and `gy`. */
function gradients(from: Float32Array, gx: Float32Array, gy: Float32Array): void {
  for (let y = 0, i = 0; y < side; y++) {
    const up = y > 0 ? side : 0;
    const down = y < side - 1 ? side : 0;
    for (let x = 0; x < side; x++, i++) {
      const dx = 0.5 * (from[i + (x < side - 1 ? 1 : 0)]! - from[i - (x > 0 ? 1 : 0)]!);
      const dy = 0.5 * (from[i + down]! - from[i - up]!);
      gx[i] = dx;
      gy[i] = dy;
    }
  }
}

/** Gradients of a grid along both axes. */
interface Gradients {
  readonly gx: Float32Array;
  readonly gy: Float32Array;
}

/** The products of gradients, or their means. */
interface Products {
  readonly xx: Float32Array;
  readonly yy: Float32Array;
  readonly xy: Float32Array;
}

function products({ gx, gy }: Gradients, { xx, yy, xy }: Products): void {
  for (let i = 0; i < cells; i++) {
    const x = gx[i]!;
    const y = gy[i]!;
    xx[i] = x * x;
    yy[i] = y * y;
    xy[i] = x * y;
  }
}

/** Writes the change along the flow, times the gradients, into `bx` and `by`. */
function changes(
  { from, to, u, v }: Flow & { readonly from: Float32Array; readonly to: Float32Array },
  { gx, gy }: Gradients,
  { bx, by }: { readonly bx: Float32Array; readonly by: Float32Array },
): void {
  for (let y = 0, i = 0; y < side; y++) {
    for (let x = 0; x < side; x++, i++) {
      const change = sample(to, x + u[i]!, y + v[i]!) - from[i]!;
      bx[i] = change * gx[i]!;
      by[i] = change * gy[i]!;
    }
  }
}

/** One step of least squares towards the flow. */
function improve(
  { u, v }: Flow,
  { xx, xy, yy }: Products,
  { bx, by }: { readonly bx: Float32Array; readonly by: Float32Array },
): void {
  for (let i = 0; i < cells; i++) {
    const a = xx[i]! + damping;
    const b = xy[i]!;
    const c = yy[i]! + damping;
    const determinant = a * c - b * b;
    u[i]! -= (c * bx[i]! - b * by[i]!) / determinant;
    v[i]! -= (a * by[i]! - b * bx[i]!) / determinant;
  }
}

function meanDifference(from: Float32Array, to: Float32Array, { u, v }: Flow): number {
  let sum = 0;
  for (let y = 0, i = 0; y < side; y++) {
    for (let x = 0; x < side; x++, i++) sum += Math.abs(sample(to, x + u[i]!, y + v[i]!) - from[i]!);
  }
  return sum / cells;
}

/** Writes the flow back, near enough for the small motion between two pictures, into `out`. */
export function reversed({ u, v }: Flow, out: Flow): Flow {
  for (let i = 0; i < cells; i++) {
    out.u[i] = -u[i]!;
    out.v[i] = -v[i]!;
  }
  return out;
}

/** Writes the flow of `first`, and from where it leads that of `second`, into `out`, which may be `first`. */
export function composed(first: Flow, second: Flow, out: Flow): Flow {
  for (let y = 0, i = 0; y < side; y++) {
    for (let x = 0; x < side; x++, i++) {
      const u = first.u[i]!;
      const v = first.v[i]!;
      out.u[i] = u + sample(second.u, x + u, y + v);
      out.v[i] = v + sample(second.v, x + u, y + v);
    }
  }
  return out;
}

/** A plane that lies over the picture to which `flow` leads. */
export interface MovingPlane {
  readonly plane: Float32Array;
  readonly flow: Flow;
}

/**
 * Planes of one size as they lie over the picture from which their flows lead, bilinear: `(1 - weight) a + weight b`.
 * Without `b` it is `a` alone.
 */
export function moved(
  a: MovingPlane,
  { width, height }: FrameSize,
  b?: MovingPlane,
  weight = 0,
): Float32Array {
  const out = new Float32Array(width * height);
  moveInto(out, a, { width, height }, b ? 1 - weight : 1);
  if (b) moveInto(out, b, { width, height }, weight);
  return out;
}

/** Adds a moved plane, times `weight`. */
function moveInto(
  out: Float32Array,
  { plane, flow: { u, v } }: MovingPlane,
  { width, height }: FrameSize,
  weight: number,
): void {
  const [right, bottom] = [width - 1, height - 1];
  const [across, down] = [width / side, height / side];
  const onGrid = width === side && height === side;
  for (let y = 0, i = 0; y < height; y++) {
    const gridY = (y + 0.5) / down - 0.5;
    for (let x = 0; x < width; x++, i++) {
      const gridX = (x + 0.5) / across - 0.5;
      const toX = x + across * (onGrid ? u[i]! : sample(u, gridX, gridY));
      const toY = y + down * (onGrid ? v[i]! : sample(v, gridX, gridY));
      const cx = toX < 0 ? 0 : toX > right ? right : toX;
      const cy = toY < 0 ? 0 : toY > bottom ? bottom : toY;
      const left = cx | 0;
      const top = cy | 0;
      const j = top * width + left;
      const k = top < bottom ? j + width : j;
      const next = left < right ? 1 : 0;
      const upper = plane[j]! + (cx - left) * (plane[j + next]! - plane[j]!);
      const lower = plane[k]! + (cx - left) * (plane[k + next]! - plane[k]!);
      out[i]! += weight * (upper + (cy - top) * (lower - upper));
    }
  }
}
