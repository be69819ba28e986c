import assert from "node:assert/strict";
import test from "node:test";
import { goldenPath } from "../../test/support.js";
import { loadSafetensors } from "../weights/node/safetensors-file.js";
import { readGray, readRgb } from "./node/image-file.js";
import { crop, type Image, resizeBilinear, resizeNearest, shortSideCentreCrop, turn } from "./resize.js";

const goldens = goldenPath("images.safetensors");

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let worst = 0;
  for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  return worst;
}

test("resizes equal Pillow's to the byte", { skip: goldens ? false : "golden images absent" }, async () => {
  const { tensors } = await loadSafetensors(goldens!);
  for (const name of ["wide", "tall", "small", "same"]) {
    const image = await readRgb(goldenPath("images", `${name}.png`)!);
    const mask = await readGray(goldenPath("images", `${name}_mask.png`)!);
    const results: [string, Image][] = [
      [`${name}_bilinear`, resizeBilinear(image, 224, 224)],
      [`${name}_mask_nearest`, resizeNearest(mask, 224, 224)],
      [`${name}_short_side_centre_crop`, shortSideCentreCrop(image, 224, "bilinear")],
      [`${name}_mask_centre_crop`, shortSideCentreCrop(mask, 224, "nearest")],
    ];
    for (const [key, actual] of results) {
      const expected = tensors.get(key)!;
      assert.deepEqual(actual.shape, expected.shape, key);
      assert.equal(largestDifference(actual.data, expected.data as Uint8Array), 0, key);
    }
  }
});

test("a JPEG decodes as with Pillow", { skip: goldens ? false : "golden images absent" }, async () => {
  const { tensors } = await loadSafetensors(goldens!);
  const image = await readRgb(goldenPath("images", "wide.jpg")!);
  const expected = tensors.get("wide_jpg")!;
  assert.deepEqual(image.shape, expected.shape);
  assert.ok(largestDifference(image.data, expected.data as Uint8Array) <= 1);
});

test("shrinking averages, enlarging interpolates, equal sizes copy", () => {
  const image: Image = { dtype: "u8", shape: [1, 4], data: Uint8Array.of(0, 100, 200, 255) };
  assert.deepEqual([...resizeBilinear(image, 1, 2).data], [71, 209]);
  assert.deepEqual([...resizeBilinear(image, 1, 8).data], [0, 25, 75, 125, 175, 214, 241, 255]);
  const copy = resizeBilinear(image, 1, 4);
  assert.deepEqual(copy.data, image.data);
  assert.notEqual(copy.data, image.data);
  assert.deepEqual([...resizeNearest(image, 2, 2).data], [100, 255, 100, 255]);
});

test("pictures turn clockwise by quarters", () => {
  const image: Image = {
    dtype: "u8",
    shape: [2, 3, 2],
    data: Uint8Array.of(0, 0, 1, 10, 2, 20, 3, 30, 4, 40, 5, 50),
  };
  const turned = (degrees: number) => {
    const { shape, data } = turn(image, degrees);
    assert.ok(
      data.every((v, i) => i % 2 === 0 || v === 10 * data[i - 1]!),
      "channels stay together",
    );
    return [shape.slice(0, 2), [...data].filter((_, i) => i % 2 === 0)];
  };
  assert.deepEqual(turned(0), [
    [2, 3],
    [0, 1, 2, 3, 4, 5],
  ]);
  assert.deepEqual(turned(90), [
    [3, 2],
    [3, 0, 4, 1, 5, 2],
  ]);
  assert.deepEqual(turned(180), [
    [2, 3],
    [5, 4, 3, 2, 1, 0],
  ]);
  assert.deepEqual(turned(-90), [
    [3, 2],
    [2, 5, 1, 4, 0, 3],
  ]);
  assert.throws(() => turn(image, 45), RangeError);
});

test("a crop or target outside the image is refused", () => {
  const image: Image = { dtype: "u8", shape: [2, 2, 3], data: new Uint8Array(12) };
  assert.throws(() => crop(image, 1, 0, 2, 2), /crop: 2x2 at \(0, 1\) is outside an image of 2x2/);
  assert.throws(() => resizeBilinear(image, 0, 2), /at least 1x1/);
  assert.throws(() => resizeNearest({ dtype: "u8", shape: [4], data: new Uint8Array(4) }, 1, 1), TypeError);
});
