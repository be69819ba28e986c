import assert from "node:assert/strict";
import test from "node:test";
import { yuvOfColor } from "../media/yuv.js";
import { overlayColor } from "./mask.js";
import { LayerPainter } from "./overlay-layer.js";
import type { Marks, ProbabilityMap } from "./probability-map.js";

const size = { width: 16, height: 8 };
const pixels = size.width * size.height;

/** The planes of a layer. */
const planesOf = (layer: Uint8Array) => ({
  luma: layer.subarray(0, pixels),
  u: layer.subarray(pixels, 1.25 * pixels),
  v: layer.subarray(1.25 * pixels, 1.5 * pixels),
  alpha: layer.subarray(1.5 * pixels),
});

/** A map of the layer's size in which `classOf` says which class is likely at (x, y). */
function mapOf(classes: number, classOf: (x: number, y: number) => number): ProbabilityMap {
  const probabilities = new Map(Array.from({ length: classes }, (_, c) => [c, new Float32Array(pixels)]));
  const active = new Set<number>();
  for (let i = 0; i < pixels; i++) {
    const index = classOf(i % size.width, Math.floor(i / size.width));
    for (const [c, plane] of probabilities) plane[i] = c === index ? 0.9 : 0.1 / (classes - 1);
    if (index > 0) active.add(index);
  }
  return { ...size, probabilities, activeClasses: [...active].sort((a, b) => a - b) };
}

const isInside = (x: number, y: number) => x >= 4 && x < 10 && y >= 2;
const binary = mapOf(2, (x, y) => (isInside(x, y) ? 1 : 0));
const marks: Marks = {
  ...size,
  levels: Uint8ClampedArray.from({ length: pixels }, (_, i) =>
    isInside(i % 16, Math.floor(i / 16)) ? 200 : 90,
  ),
};

test("a layer of one class has its color everywhere, and alpha that passes 128 at the edge of what is marked", () => {
  const labelNames = ["background", "sounding"];
  const painter = new LayerPainter({ ...size, labelNames });
  const [y, u, v] = yuvOfColor(overlayColor(1, labelNames));
  for (const given of [marks, undefined]) {
    const { alpha, ...color } = planesOf(painter.paint(binary, given));
    assert.deepEqual(
      [new Set(color.luma), new Set(color.u), new Set(color.v)],
      [new Set([y]), new Set([u]), new Set([v])],
    );
    assert.equal(alpha[4 * 16 + 6], 255);
    assert.equal(alpha[4 * 16 + 12], 0);
    assert.equal(alpha[4 * 16 + 4], 170, "six of nine pixels are marked");
    assert.equal(alpha[4 * 16 + 3], 85, "three of nine");
    assert.equal(alpha[2 * 16 + 4], 113, "four of nine, in the corner");
    assert.equal(alpha[7 * 16 + 6], 255, "beyond the lower border its row repeats");
  }
  const silent = mapOf(2, () => 0);
  assert.ok(planesOf(painter.paint(silent, undefined)).alpha.every((a) => a === 0));
});

test("a layer of several classes has the color of each pixel's likeliest class", () => {
  const labelNames = ["background", "dog", "piano"];
  const painter = new LayerPainter({ ...size, labelNames });
  const { luma, u, v, alpha } = planesOf(
    painter.paint(
      mapOf(3, (x) => (x < 8 ? 1 : 2)),
      undefined,
    ),
  );
  for (const [index, x] of [
    [1, 2],
    [2, 12],
  ] as const) {
    const color = yuvOfColor(overlayColor(index, labelNames));
    assert.deepEqual([luma[16 + x], u[8 + x / 2], v[8 + x / 2]], color);
    assert.equal(alpha[16 + x], 255);
  }
});
