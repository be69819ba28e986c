import assert from "node:assert/strict";
import test from "node:test";
import { classOfColor, colorOfClass } from "./palette.js";

test("the first colors are those of the published palette", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 70].map(colorOfClass), [
    [0, 0, 0],
    [128, 0, 0],
    [0, 128, 0],
    [128, 128, 0],
    [0, 0, 128],
    [128, 0, 128],
    [0, 128, 128],
    [128, 128, 128],
    [64, 0, 0],
    [192, 0, 0],
    [32, 128, 128], // 70 = octal 106: digit 2 is 1, digit 0 is 6
  ]);
});

test("colors and classes are inverses", () => {
  for (let j = 0; j < 600; j++) assert.equal(classOfColor(...colorOfClass(j)), j);
  assert.equal(classOfColor(255, 255, 255), 2 ** 24 - 1);
});
