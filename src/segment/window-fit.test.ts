import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "../random.js";
import { WindowFit } from "./window-fit.js";

const [width, height] = [20, 14];
const radius = 3;
const flatness = 3e-4;

/** The mean of a function of cells in the window around a cell; beyond the border the border repeats. */
function windowMean(of: (cell: number) => number, [x, y]: readonly [number, number]): number {
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

test("functions are the means of least squares in all windows around a cell", () => {
  const random = new Random(1);
  const plane = () => Float32Array.from({ length: width * height }, () => random.uniform());
  const [red, green, blue, fitted] = [plane(), plane(), plane(), plane()];
  const rgb = [red, green, blue] as const;

  /** The function of one window, by Cramer's rule. */
  const solved = (at: readonly [number, number]): number[] => {
    const means = rgb.map((color) => windowMean((i) => color[i]!, at));
    const mean = windowMean((i) => fitted[i]!, at);
    const covariance = (k: number, l: number) =>
      windowMean((i) => rgb[k]![i]! * rgb[l]![i]!, at) - means[k]! * means[l]! + (k === l ? flatness : 0);
    const row = (k: number): Row => [covariance(k, 0), covariance(k, 1), covariance(k, 2)];
    const covariances: Matrix = [row(0), row(1), row(2)];
    const right = rgb.map((a, k) => windowMean((i) => a[i]! * fitted[i]!, at) - means[k]! * mean);
    const slopes = rgb.map((_, k) => {
      const replaced: Matrix = [[...covariances[0]], [...covariances[1]], [...covariances[2]]];
      for (const [l, of] of replaced.entries()) of[k] = right[l]!;
      return determinant(replaced) / determinant(covariances);
    });
    return [...slopes, mean - slopes.reduce((sum, slope, k) => sum + slope * means[k]!, 0)];
  };

  const windows = Array.from({ length: width * height }, (_, i) =>
    solved([i % width, Math.floor(i / width)]),
  );
  const functions = new WindowFit(radius, { side: 32, flatness }).fit({ rgb, plane: fitted, width });
  for (const [k, values] of functions.entries()) {
    assert.equal(values.length, width * height);
    for (const [i, value] of values.entries()) {
      const expected = windowMean((cell) => windows[cell]![k]!, [i % width, Math.floor(i / width)]);
      assert.ok(
        Math.abs(value - expected) < 1e-6,
        `function ${k} of cell ${i}: ${value}, expected ${expected}`,
      );
    }
  }
});
