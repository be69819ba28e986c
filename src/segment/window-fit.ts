/** Affine functions of a picture's colors that come nearest to a plane, in windows of a grid. */
import { BoxFilter } from "./box-filter.js";
import type { GridPicture } from "./grid.js";

/** Affine functions of red, green and blue, one per cell: three slopes and an offset. */
export type AffineFunctions = readonly [
  red: Float32Array,
  green: Float32Array,
  blue: Float32Array,
  offset: Float32Array,
];

/** Sums per column of a window: of red, green, blue and the plane, and of their nine products (not the plane's square). */
const sumsPerColumn = 13;

/** A plane that functions are fitted to, and the picture's colors, in rows of `width` cells. */
export interface Samples {
  readonly rgb: GridPicture["rgb"];
  readonly plane: Float32Array;
  readonly width: number;
}

/** Fits functions in windows of (2 radius + 1)^2 cells, by least squares (ridge regression). */
export class WindowFit {
  readonly #radius: number;
  readonly #flatness: number;
  readonly #box: BoxFilter;
  /** Of the rows of the window; 64 bits, because what is added is subtracted later. */
  readonly #columns: Float64Array;
  readonly #functions: AffineFunctions;

  /**
   * For planes of at most `side` x `side` cells. `flatness` is the variance of colors (0 to 1) below which a window is flat:
   * its function hardly follows them.
   */
  constructor(radius: number, { side, flatness }: { readonly side: number; readonly flatness: number }) {
    this.#radius = radius;
    this.#flatness = flatness;
    this.#box = new BoxFilter(radius, side);
    this.#columns = new Float64Array(sumsPerColumn * side);
    const plane = () => new Float32Array(side * side);
    this.#functions = [plane(), plane(), plane(), plane()];
  }

  /** Writes the means of a plane in the windows into `out`. */
  mean(plane: Float32Array, out: Float32Array, width: number): void {
    this.#box.mean(plane, out, width);
  }

  /** The means of the functions of all windows around each cell, as many as the samples. The next fit overwrites them. */
  fit(samples: Samples): AffineFunctions {
    const { width } = samples;
    const { length } = samples.plane;
    const radius = this.#radius;
    const last = length / width - 1;
    this.#columns.fill(0);
    for (let y = -radius; y <= radius; y++) this.#addRow(samples, Math.min(last, Math.max(0, y)), 1);
    for (let y = 0; y <= last; y++) {
      this.#solveRow(y * width, width);
      this.#addRow(samples, Math.min(last, y + radius + 1), 1);
      this.#addRow(samples, Math.max(0, y - radius), -1);
    }
    const [red, green, blue, offset] = this.#functions;
    const smoothed = (plane: Float32Array): Float32Array => {
      const part = plane.subarray(0, length);
      this.#box.mean(part, part, width);
      return part;
    };
    return [smoothed(red), smoothed(green), smoothed(blue), smoothed(offset)];
  }

  /** Adds a row, times `weight`, to the sums of the columns. */
  #addRow({ rgb, plane, width }: Samples, row: number, weight: number): void {
    const columns = this.#columns;
    const [red, green, blue] = rgb;
    const start = row * width;
    for (let i = start, k = 0; i < start + width; i++, k += sumsPerColumn) {
      const r = red[i]!;
      const g = green[i]!;
      const b = blue[i]!;
      const p = plane[i]!;
      const wr = weight * r;
      const wg = weight * g;
      const wb = weight * b;
      columns[k]! += wr;
      columns[k + 1]! += wg;
      columns[k + 2]! += wb;
      columns[k + 3]! += weight * p;
      columns[k + 4]! += wr * r;
      columns[k + 5]! += wr * g;
      columns[k + 6]! += wr * b;
      columns[k + 7]! += wg * g;
      columns[k + 8]! += wg * b;
      columns[k + 9]! += wb * b;
      columns[k + 10]! += wr * p;
      columns[k + 11]! += wg * p;
      columns[k + 12]! += wb * p;
    }
  }

  /** Writes the functions of the windows around the `width` cells from `start` on, from the sums of the columns. */
  #solveRow(start: number, width: number): void {
    const columns = this.#columns;
    const radius = this.#radius;
    const flatness = this.#flatness;
    const [red, green, blue, offset] = this.#functions;
    const across = 2 * radius + 1;
    const scale = 1 / across ** 2;
    // One variable for each sum: arrays of sums take twice as long. The first window lies beyond the border.
    let sr = across * columns[0]!;
    let sg = across * columns[1]!;
    let sb = across * columns[2]!;
    let sp = across * columns[3]!;
    let srr = across * columns[4]!;
    let srg = across * columns[5]!;
    let srb = across * columns[6]!;
    let sgg = across * columns[7]!;
    let sgb = across * columns[8]!;
    let sbb = across * columns[9]!;
    let srp = across * columns[10]!;
    let sgp = across * columns[11]!;
    let sbp = across * columns[12]!;
    const last = sumsPerColumn * (width - 1);
    for (let x = -radius; x < width; x++) {
      if (x >= 0) {
        const r = scale * sr;
        const g = scale * sg;
        const b = scale * sb;
        const p = scale * sp;
        // The symmetric matrix of covariances, and its inverse by cofactors.
        const xx = scale * srr - r * r + flatness;
        const xy = scale * srg - r * g;
        const xz = scale * srb - r * b;
        const yy = scale * sgg - g * g + flatness;
        const yz = scale * sgb - g * b;
        const zz = scale * sbb - b * b + flatness;
        const cxx = yy * zz - yz * yz;
        const cxy = xz * yz - xy * zz;
        const cxz = xy * yz - xz * yy;
        const cyz = xy * xz - xx * yz;
        const inverse = 1 / (xx * cxx + xy * cxy + xz * cxz);
        const rp = inverse * (scale * srp - r * p);
        const gp = inverse * (scale * sgp - g * p);
        const bp = inverse * (scale * sbp - b * p);
        const slopeR = cxx * rp + cxy * gp + cxz * bp;
        const slopeG = cxy * rp + (xx * zz - xz * xz) * gp + cyz * bp;
        const slopeB = cxz * rp + cyz * gp + (xx * yy - xy * xy) * bp;
        const at = start + x;
        red[at] = slopeR;
        green[at] = slopeG;
        blue[at] = slopeB;
        offset[at] = p - slopeR * r - slopeG * g - slopeB * b;
      }
      const i = Math.min(last, sumsPerColumn * (x + radius + 1));
      const j = Math.max(0, sumsPerColumn * (x - radius));
      sr += columns[i]! - columns[j]!;
      sg += columns[i + 1]! - columns[j + 1]!;
      sb += columns[i + 2]! - columns[j + 2]!;
      sp += columns[i + 3]! - columns[j + 3]!;
      srr += columns[i + 4]! - columns[j + 4]!;
      srg += columns[i + 5]! - columns[j + 5]!;
      srb += columns[i + 6]! - columns[j + 6]!;
      sgg += columns[i + 7]! - columns[j + 7]!;
      sgb += columns[i + 8]! - columns[j + 8]!;
      sbb += columns[i + 9]! - columns[j + 9]!;
      srp += columns[i + 10]! - columns[j + 10]!;
      sgp += columns[i + 11]! - columns[j + 11]!;
      sbp += columns[i + 12]! - columns[j + 12]!;
    }
  }
}
