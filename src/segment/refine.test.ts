import assert from "node:assert/strict";
import test from "node:test";
import { type ImageTensor, resizeBilinear } from "../media/resize.js";
import { guideSize } from "./grid.js";
import { maskOf } from "./mask.js";
import type { ProbabilityMap } from "./probability-map.js";
import { EdgeRefiner } from "./refine.js";

const side = 448;
const inside = (x: number, y: number) => Math.hypot(x - 200, y - 230) < 90;

/** An orange disk on a green background, and a coarse, blurred map of it. */
function scene(): { image: ImageTensor; map: ProbabilityMap } {
  const data = new Uint8Array(side * side * 3);
  for (let i = 0; i < side * side; i++) {
    data.set(inside(i % side, Math.floor(i / side)) ? [230, 140, 40] : [40, 120, 70], 3 * i);
  }
  const [coarse, cell] = [28, side / 28];
  const plane = Float32Array.from({ length: coarse * coarse }, (_, i) => {
    const [x, y] = [((i % coarse) + 0.5) * cell, (Math.floor(i / coarse) + 0.5) * cell];
    return 1 / (1 + Math.exp((Math.hypot(x - 200, y - 230) - 76) / 12)); // too small by 14 pixels
  });
  const probabilities = new Map([
    [0, plane.map((p) => 1 - p)],
    [1, plane],
  ]);
  return {
    image: { dtype: "u8", shape: [side, side, 3], data },
    map: { width: coarse, height: coarse, probabilities, activeClasses: [1] },
  };
}

function overlap(labels: Uint16Array): number {
  let both = 0;
  let either = 0;
  for (const [i, label] of labels.entries()) {
    const [a, b] = [label > 0, inside(i % side, Math.floor(i / side))];
    if (a && b) both++;
    if (a || b) either++;
  }
  return both / either;
}

test("refined masks end where the picture's objects do", () => {
  const { image, map } = scene();
  const { width, height } = guideSize({ width: side, height: side });
  const guide = resizeBilinear(image, height, width);
  const options = { width: side, height: side, classes: ["sounding"] };
  const plain = overlap(maskOf(map, options).labels);
  const refined = overlap(maskOf(map, { ...options, marks: new EdgeRefiner().refine(map, guide) }).labels);
  assert.ok(plain < 0.8, `plain ${plain}`);
  assert.ok(refined > 0.95, `refined ${refined}`);
});

test("a map in which nothing sounds marks nothing", () => {
  const { image, map } = scene();
  const { width, height } = guideSize({ width: side, height: side });
  const marks = new EdgeRefiner().refine({ ...map, activeClasses: [] }, resizeBilinear(image, height, width));
  assert.ok(marks.levels.every((level) => level === 0));
});
