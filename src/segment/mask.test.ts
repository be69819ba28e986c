import assert from "node:assert/strict";
import test from "node:test";
import type { TensorOf } from "../tensor.js";
import { maskOf, maskPicture, paintMask, unionOf } from "./mask.js";
import { blend, probabilitiesOf } from "./probability-map.js";

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
  for (const [i, p] of expected.entries()) assert.ok(Math.abs(binary.probabilities.get(1)![i]! - p) < 1e-6);
  assert.deepEqual(binary.activeClasses, [1]);

  const several = probabilitiesOf(logits([[0, 5]], [[1, 0]], [[-900, 900]]), 0);
  assert.deepEqual(several.activeClasses, [1, 2]);
  for (let i = 0; i < 2; i++) {
    const sum = [0, 1, 2].reduce((s, c) => s + several.probabilities.get(c)![i]!, 0);
    assert.ok(Math.abs(sum - 1) < 1e-6);
  }
});

test("a mask lies on the source's pixels, whatever their number", () => {
  const classes = ["sounding"];
  const mask = maskOf(quarter(true), { width: 101, height: 37, classes });
  const [region] = mask.regions;
  assert.deepEqual(region?.box, [51, 19, 50, 18]);
  assert.ok(region.area > 0.95 * 50 * 18 && region.area <= 50 * 18);
  assert.ok(region.confidence > 0.9 && region.confidence <= 1);
  assert.equal(mask.labels.filter((label) => label === 1).length, region.area);
  assert.deepEqual(maskOf(quarter(false), { width: 4, height: 4, classes }).regions[0]?.box, [0, 0, 2, 2]);
  const nothing = probabilitiesOf(logits([[-1, -1]]), 0);
  assert.deepEqual(maskOf(nothing, { width: 8, height: 8, classes }).regions, []);
  assert.equal(unionOf([]), undefined);
});

test("several classes: each its region, the largest first, and one around them all", () => {
  const map = probabilitiesOf(logits([[0, 0, 0, 0]], [[9, -9, -9, -9]], [[-9, -9, 9, 9]]), 0);
  const { regions } = maskOf(map, { width: 4, height: 2, classes: ["background", "dog", "cat"] });
  assert.deepEqual(
    regions.map(({ index, label, area, box }) => [index, label, area, box]),
    [
      [2, "cat", 4, [2, 0, 2, 2]],
      [1, "dog", 2, [0, 0, 1, 2]],
    ],
  );
  const all = unionOf(regions);
  assert.deepEqual([all?.area, all?.box], [6, [0, 0, 4, 2]]);
});

test("masks as pictures: a layer for every task, and label images", () => {
  const options = { width: 4, height: 2 };
  const binary = maskOf(probabilitiesOf(logits([[9, -9, -9, -9]]), 0), { ...options, classes: ["sounding"] });
  assert.deepEqual([...maskPicture(binary).data], [255, 0, 0, 0, 255, 0, 0, 0]);
  assert.deepEqual(
    [...paintMask(binary, { fill: 1, outline: 0 }).data.subarray(0, 8)],
    [255, 72, 88, 255, 0, 0, 0, 0],
  );
  const map = probabilitiesOf(logits([[0, 0, 0, 0]], [[9, -9, -9, -9]], [[-9, -9, 9, 9]]), 0);
  const semantic = maskOf(map, { ...options, classes: ["background", "dog", "cat"] });
  assert.deepEqual([...maskPicture(semantic).data.subarray(0, 9)], [128, 0, 0, 0, 0, 0, 0, 128, 0]);
  assert.deepEqual([...paintMask(semantic, { fill: 1, outline: 0 }).data.subarray(8, 12)], [0, 128, 0, 255]);
});

test("maps are blended linearly", () => {
  const half = blend(quarter(false), quarter(true), 0.25);
  assert.ok(Math.abs(half.probabilities.get(1)![0]! - 0.75) < 1e-3);
  assert.ok(Math.abs(half.probabilities.get(1)![15]! - 0.25) < 1e-3);
});

test("marks decide what is marked, and the map which class it is", () => {
  const map = probabilitiesOf(logits([[0, 0, 0, 0]], [[9, 9, -9, -9]], [[-9, -9, 9, 9]]), 0);
  const levels = Uint8ClampedArray.of(0, 255, 255, 0, 0, 230, 50, 0);
  const marks = { width: 4, height: 2, levels };
  const mask = maskOf(map, { width: 4, height: 2, classes: ["background", "dog", "cat"], marks });
  assert.deepEqual([...mask.labels], [0, 1, 2, 0, 0, 1, 0, 0]);
});

test("with marks, the confidence of one class is how clearly it is marked, and of several what the map says", () => {
  const plane = (p: number) => new Float32Array(8).fill(p);
  const map = { width: 4, height: 2, activeClasses: [1] };
  // Of several classes, a map that was moved holds those alone that are marked.
  const probabilities = new Map([
    [0, plane(0.2)],
    [1, plane(0.6)],
  ]);
  const marks = { width: 4, height: 2, levels: new Uint8ClampedArray(8).fill(204) };
  const confidenceOf = (classes: readonly string[]) =>
    maskOf({ ...map, probabilities }, { width: 4, height: 2, classes, marks }).regions[0]!.confidence;
  assert.ok(Math.abs(confidenceOf(["sounding"]) - 0.8) < 1e-6);
  assert.ok(Math.abs(confidenceOf(["background", "dog", "cat"]) - 0.6) < 1e-6);
});
