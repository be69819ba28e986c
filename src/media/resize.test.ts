import assert from "node:assert/strict";
import test from "node:test";
import { type Reference, reference, referencePath } from "../../test/reference.js";
import { readGray, readRgb } from "./node/image-file.js";
import {
  crop,
  type ImageTensor,
  resizeBilinear,
  resizeNearest,
  rotate,
  shortSideCenterCrop,
} from "./resize.js";

/** In levels, of the pixels that the reference `key` has. */
function largestDifference(ref: Reference, image: ImageTensor, key: string): number {
  const expected = ref.tensor(key).data;
  const found = ref.sample(image, key);
  assert.equal(found.length, expected.length, key);
  return found.reduce((worst, value, i) => Math.max(worst, Math.abs(value - Number(expected[i]))), 0);
}

test("resizes equal Pillow's to the byte", async () => {
  const ref = await reference("images");
  for (const name of ["wide", "tall", "small", "same"]) {
    const image = await readRgb(referencePath("images", `${name}.png`));
    const mask = await readGray(referencePath("images", `${name}_mask.png`));
    const results: [string, ImageTensor][] = [
      [`${name}_bilinear`, resizeBilinear(image, 224, 224)],
      [`${name}_mask_nearest`, resizeNearest(mask, 224, 224)],
      [`${name}_short_side_centre_crop`, shortSideCenterCrop(image, 224, "bilinear")],
      [`${name}_mask_centre_crop`, shortSideCenterCrop(mask, 224, "nearest")],
    ];
    for (const [key, actual] of results) {
      assert.equal(largestDifference(ref, actual, key), 0, key);
    }
  }
});

test("a JPEG decodes as with Pillow", async () => {
  const image = await readRgb(referencePath("images", "wide.jpg"));
  assert.ok(largestDifference(await reference("images"), image, "wide_jpg") <= 1);
});

test("shrinking averages, enlarging interpolates, equal sizes copy", () => {
  const image: ImageTensor = { dtype: "u8", shape: [1, 4], data: Uint8Array.of(0, 100, 200, 255) };
  assert.deepEqual([...resizeBilinear(image, 1, 2).data], [71, 209]);
  assert.deepEqual([...resizeBilinear(image, 1, 8).data], [0, 25, 75, 125, 175, 214, 241, 255]);
  const copy = resizeBilinear(image, 1, 4);
  assert.deepEqual(copy.data, image.data);
  assert.notEqual(copy.data, image.data);
  assert.deepEqual([...resizeNearest(image, 2, 2).data], [100, 255, 100, 255]);
});

test("pictures are rotated clockwise by quarters", () => {
  const image: ImageTensor = {
    dtype: "u8",
    shape: [2, 3, 2],
    data: Uint8Array.of(0, 0, 1, 10, 2, 20, 3, 30, 4, 40, 5, 50),
  };
  const turned = (degrees: number) => {
    const { shape, data } = rotate(image, degrees);
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
  assert.throws(() => rotate(image, 45), RangeError);
});

test("a crop or target outside the image is refused", () => {
  const image: ImageTensor = { dtype: "u8", shape: [2, 2, 3], data: new Uint8Array(12) };
  assert.throws(
    () => crop(image, { top: 1, left: 0, height: 2, width: 2 }),
    /crop: 2x2 at \(0, 1\) is outside an image of 2x2/,
  );
  assert.throws(() => resizeBilinear(image, 0, 2), /at least 1x1/);
  assert.throws(() => resizeNearest({ dtype: "u8", shape: [4], data: new Uint8Array(4) }, 1, 1), TypeError);
});
