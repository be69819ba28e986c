import assert from "node:assert/strict";
import test from "node:test";
import type { TensorOf } from "../tensor.js";
import { maskOf, unionOf } from "./mask.js";
import { overlayPictures, paint, pictureSize } from "./overlay-picture.js";
import type { Step } from "./predict-steps.js";
import { interpolate, probabilitiesOf } from "./probability-map.js";

/** Logits `f32[1,K,H,W]` of rows of numbers, one table per class. */
function logits(...classes: readonly (readonly number[])[][]): TensorOf<"f32"> {
  const [rows = []] = classes;
  const shape = [1, classes.length, rows.length, rows[0]?.length ?? 0];
  return { dtype: "f32", shape, data: Float32Array.from(classes.flat(2)) };
}

/** A 4x4 map of which one quarter sounds: the left upper one, or the right lower one. */
const quarter = (lower: boolean) =>
  probabilitiesOf(
    logits([0, 1, 2, 3].map((y) => [0, 1, 2, 3].map((x) => (y >= 2 === lower && x >= 2 === lower ? 9 : -9)))),
    0,
  );

test("logits become probabilities: sigmoid of one, softmax of several", () => {
  const binary = probabilitiesOf(logits([[0, 2, -2]]), 0);
  const expected = [0.5, 1 / (1 + Math.exp(-2)), 1 / (1 + Math.exp(2))];
  for (const [i, p] of expected.entries()) assert.ok(Math.abs(binary.planes.get(1)![i]! - p) < 1e-6);
  assert.deepEqual(binary.winners, [1]);

  const several = probabilitiesOf(logits([[0, 5]], [[1, 0]], [[-900, 900]]), 0);
  assert.deepEqual(several.winners, [1, 2]);
  for (let i = 0; i < 2; i++) {
    const sum = [0, 1, 2].reduce((s, c) => s + several.planes.get(c)![i]!, 0);
    assert.ok(Math.abs(sum - 1) < 1e-6);
  }
});

test("a mask lies on the source's pixels, whatever their number", () => {
  const mask = maskOf(quarter(true), 101, 37);
  const [region] = mask.regions;
  assert.deepEqual(region?.box, [51, 19, 50, 18]);
  assert.ok(region.area > 0.95 * 50 * 18 && region.area <= 50 * 18);
  assert.ok(region.confidence > 0.9 && region.confidence <= 1);
  assert.equal(mask.labels.filter((label) => label === 1).length, region.area);
  assert.deepEqual(maskOf(quarter(false), 4, 4).regions[0]?.box, [0, 0, 2, 2]);
  const nothing = probabilitiesOf(logits([[-1, -1]]), 0);
  assert.deepEqual(maskOf(nothing, 8, 8).regions, []);
  assert.equal(unionOf([]), undefined);
});

test("several classes: each its region, the largest first, and one around them all", () => {
  const map = probabilitiesOf(logits([[0, 0, 0, 0]], [[9, -9, -9, -9]], [[-9, -9, 9, 9]]), 0);
  const { regions } = maskOf(map, 4, 2);
  assert.deepEqual(
    regions.map(({ index, area, box }) => [index, area, box]),
    [
      [2, 4, [2, 0, 2, 2]],
      [1, 2, [0, 0, 1, 2]],
    ],
  );
  const all = unionOf(regions);
  assert.deepEqual([all?.area, all?.box], [6, [0, 0, 4, 2]]);
});

test("pictures: colour everywhere, fill inside, outline at the edge but not at the frame's", () => {
  const rgba = paint(quarter(false), 40, 40, () => [10, 20, 30]);
  const pixel = (x: number, y: number) => [...rgba.subarray((y * 40 + x) * 4, (y * 40 + x) * 4 + 4)];
  assert.deepEqual(pixel(0, 0), [10, 20, 30, 105]);
  assert.deepEqual(pixel(39, 39), [10, 20, 30, 0]);
  assert.equal(pixel(19, 5)[3], 235);
  assert.equal(pixel(20, 5)[3], 0);
  assert.deepEqual(pictureSize(1920, 1080), { width: 960, height: 540 });
  assert.deepEqual(pictureSize(321, 241), { width: 321, height: 241 });
});

test("probabilities are blended linearly in time, and the last picture is the last step's", async () => {
  const half = interpolate(quarter(false), quarter(true), 0.25);
  assert.ok(Math.abs(half.planes.get(1)![0]! - 0.75) < 1e-3);
  assert.ok(Math.abs(half.planes.get(1)![15]! - 0.25) < 1e-3);

  async function* steps(): AsyncGenerator<Step, void, undefined> {
    for (const index of [0, 1, 2]) {
      const map = quarter(index === 1);
      yield { index, timeSeconds: index + 0.5, coveredSeconds: 1, peak: 1, map };
    }
  }
  const options = { width: 4, height: 4, rate: { numerator: 4, denominator: 1 } };
  const shown: string[] = [];
  for await (const rgba of overlayPictures(steps(), { ...options, colorOf: () => [1, 2, 3] })) {
    shown.push(`${rgba[3] ? "upper" : ""}${rgba[63] ? "lower" : ""}`);
  }
  // Quarter seconds from 0: the first step up to 1.0, the second up to 2.0 (at equal odds nothing), then the third.
  const expected = ["upper", "upper", "upper", "upper", "", "lower", "lower", "lower", "", "upper", "upper"];
  assert.deepEqual(shown, expected);
});
