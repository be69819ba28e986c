import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "../random.js";
import { FunctionPainter, type Region } from "./function-painter.js";
import type { AffineFunctions } from "./window-fit.js";

const side = 12;

/** Random functions of a region, which give no level in its border cells but where these are the grid's. */
function functionsOf({ left, top, width, height }: Region, random: Random): AffineFunctions {
  const plane = (low: number, high: number) =>
    Float32Array.from({ length: width * height }, (_, i) => {
      const [x, y] = [left + (i % width), top + Math.floor(i / width)];
      const isCut = (x === left && left > 0) || (x === left + width - 1 && x < side - 1);
      const isBorder = isCut || (y === top && top > 0) || (y === top + height - 1 && y < side - 1);
      return isBorder ? 0 : random.uniform(low, high);
    });
  return [plane(-1, 1), plane(-1, 1), plane(-1, 1), plane(-0.5, 1)];
}

/** 255 times the functions of a guide's colors, bilinear between the centers of cells. */
function expectedLevel(
  at: readonly [x: number, y: number],
  size: readonly [width: number, height: number],
  valueAt: (k: number, column: number, row: number) => number,
): (color: readonly number[]) => number {
  const [x, y] = at.map((pixel, axis) =>
    Math.min(side - 1, Math.max(0, ((pixel + 0.5) * side) / size[axis]! - 0.5)),
  ) as [number, number];
  const [column, row] = [Math.floor(x), Math.floor(y)];
  const value = (k: number) => {
    const [right, below] = [Math.min(side - 1, column + 1), Math.min(side - 1, row + 1)];
    const upper = valueAt(k, column, row) + (x - column) * (valueAt(k, right, row) - valueAt(k, column, row));
    const lower =
      valueAt(k, column, below) + (x - column) * (valueAt(k, right, below) - valueAt(k, column, below));
    return upper + (y - row) * (lower - upper);
  };
  return (color) => 255 * value(3) + color.reduce((sum, c, k) => sum + value(k) * c, 0);
}

const regions: readonly Region[] = [
  { left: 0, top: 0, width: side, height: side },
  { left: 0, top: 0, width: 5, height: 4 },
  { left: 7, top: 8, width: 5, height: 4 },
  { left: 3, top: 2, width: 6, height: 7 },
];

for (const cell of [1, 2, 3, 4, 5]) {
  test(`functions are bilinear between cells of ${cell} x ${cell + 1} pixels`, () => {
    const random = new Random(cell);
    const [width, height] = [side * cell, side * (cell + 1)];
    const data = Uint8Array.from({ length: width * height * 3 }, () => random.integer(256));
    const painter = new FunctionPainter(side);
    for (const region of regions) {
      const functions = functionsOf(region, random);
      const levels = new Uint8ClampedArray(width * height);
      painter.paint({ functions, region, guide: { dtype: "u8", shape: [height, width, 3], data } }, levels);
      const valueAt = (k: number, column: number, row: number) => {
        const [x, y] = [column - region.left, row - region.top];
        const isInside = x >= 0 && x < region.width && y >= 0 && y < region.height;
        return isInside ? functions[k]![y * region.width + x]! : 0;
      };
      for (const [i, level] of levels.entries()) {
        const expected = expectedLevel([i % width, Math.floor(i / width)], [width, height], valueAt);
        const wanted = Math.min(255, Math.max(0, expected([...data.subarray(3 * i, 3 * i + 3)])));
        assert.ok(Math.abs(level - wanted) < 0.51, `pixel ${i}: ${level}, expected ${wanted}`);
      }
    }
  });
}
