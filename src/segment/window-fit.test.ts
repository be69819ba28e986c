import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "../random.js";
import { WindowFit } from "./window-fit.js";

const radius = 3;
const flatness = 3e-4;

type Size = readonly [width: number, height: number];

/** The mean of a function of cells in the window around a cell; beyond the border the border repeats. */
function windowMean([width, height]: Size, of: (cell: number) => number, cell: number): number {
  const [x, y] = [cell % width, Math.floor(cell / width)];
  let sum = 0;
  for (let dy = -radius; dy <= radius; dy++) {
    for (let dx = -radius; dx <= radius; dx++) {
      const column = Math.min(width - 1, Math.max(0, x + dx));
      const row = Math.min(height - 1, Math.max(0, y + dy));
      sum += of(row * width + column);
    }
  }
  return sum / (2 * radius + 1) ** 2;
}

type Row = [number, number, number];
type Matrix = readonly [Row, Row, Row];

function determinant([a, b, c]: Matrix): number {
  const minor = (i: number, j: number) => b[i]! * c[j]! - b[j]! * c[i]!;
  return a[0] * minor(1, 2) - a[1] * minor(0, 2) + a[2] * minor(0, 1);
}

/** The function of each window of random planes by Cramer's rule, and the means of those of all windows around each cell. */
function checkFit(fit: WindowFit, size: Size): void {
  const cells = size[0] * size[1];
  const random = new Random(...size);
  const plane = () => Float32Array.from({ length: cells }, () => random.uniform());
  const [red, green, blue, fitted] = [plane(), plane(), plane(), plane()];
  const rgb = [red, green, blue] as const;
  const solved = (cell: number): number[] => {
    const meanOf = (of: (i: number) => number) => windowMean(size, of, cell);
    const means = rgb.map((color) => meanOf((i) => color[i]!));
    const mean = meanOf((i) => fitted[i]!);
    const covariance = (k: number, l: number) =>
      meanOf((i) => rgb[k]![i]! * rgb[l]![i]!) - means[k]! * means[l]! + (k === l ? flatness : 0);
    const row = (k: number): Row => [covariance(k, 0), covariance(k, 1), covariance(k, 2)];
    const covariances: Matrix = [row(0), row(1), row(2)];
    const right = rgb.map((a, k) => meanOf((i) => a[i]! * fitted[i]!) - means[k]! * mean);
    const slopes = rgb.map((_, k) => {
      const replaced: Matrix = [[...covariances[0]], [...covariances[1]], [...covariances[2]]];
      for (const [l, of] of replaced.entries()) of[k] = right[l]!;
      return determinant(replaced) / determinant(covariances);
    });
    return [...slopes, mean - slopes.reduce((sum, slope, k) => sum + slope * means[k]!, 0)];
  };
  const windows = Array.from({ length: cells }, (_, cell) => solved(cell));
  const functions = fit.fit({ rgb, plane: fitted, width: size[0] });
  for (const [k, values] of functions.entries()) {
    assert.equal(values.length, cells);
    for (const [cell, value] of values.entries()) {
      const expected = windowMean(size, (i) => windows[i]![k]!, cell);
      assert.ok(
        Math.abs(value - expected) < 1e-6,
        `function ${k} of cell ${cell}: ${value}, expected ${expected}`,
      );
    }
  }
}

test("functions are the means of least squares in all windows around a cell, at any size", () => {
  const fit = new WindowFit(radius, { side: 32, flatness });
  for (const size of [
    [20, 14],
    [7, 7],
    [9, 5],
    [14, 20],
  ] as const)
    checkFit(fit, size);
});
