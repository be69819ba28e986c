import assert from "node:assert/strict";
import test from "node:test";
import { cocoRle } from "./coco-rle.js";

/** The run lengths of a compressed text, as pycocotools' `rleFrString` reads them. */
function countsOf(text: string): number[] {
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    let value = 0;
    let shift = 0;
    for (let more = true; more; ) {
      const piece = text.charCodeAt(at++) - 48;
      value |= (piece & 0x1f) << (5 * shift++);
      more = (piece & 0x20) !== 0;
      if (!more && (piece & 0x10) !== 0) value |= -1 << (5 * shift);
    }
    if (counts.length > 2) value += counts[counts.length - 2]!;
    counts.push(value);
  }
  return counts;
}

test("runs are those of columns, and long ones and differences below zero come back", () => {
  const [width, height] = [70, 50];
  const labels = new Uint16Array(width * height);
  for (let y = 10; y < 12; y++) labels.fill(2, y * width + 3, y * width + 6);
  labels[0] = 1;
  assert.deepEqual(cocoRle({ width, height, labels }, 1).size, [50, 70]);
  assert.deepEqual(countsOf(cocoRle({ width, height, labels }, 1).counts), [0, 1, 3499]);
  const expected = [3 * 50 + 10, 2, 48, 2, 48, 2, 3500 - 2 * 50 - 3 * 50 - 12];
  assert.deepEqual(countsOf(cocoRle({ width, height, labels }, 2).counts), expected);
  assert.deepEqual(countsOf(cocoRle({ width, height, labels }, 3).counts), [3500]);
});

test("a text that pycocotools writes", () => {
  // pycocotools.mask.encode of a 3x3 mask whose middle pixel is set.
  const labels = Uint16Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0);
  assert.equal(cocoRle({ width: 3, height: 3, labels }, 1).counts, "414");
});
