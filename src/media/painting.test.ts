import assert from "node:assert/strict";
import test from "node:test";
import { labelPicture, paintLabels } from "./painting.js";

test("labels become white on black, or the colors of their classes", () => {
  const labels = { dtype: "u8", shape: [1, 3], data: Uint8Array.of(0, 1, 70) } as const;
  assert.deepEqual(labelPicture(labels, false), { ...labels, data: Uint8Array.of(0, 255, 255) });
  const colors = Uint8Array.of(0, 0, 0, 128, 0, 0, 32, 128, 128);
  assert.deepEqual(labelPicture(labels, true), { dtype: "u8", shape: [1, 3, 3], data: colors });
});

test("layers: a fill, a brighter outline inside it but not at the frame's edge, and a dimmed background", () => {
  const side = 40;
  const data = new Uint8Array(side * side);
  for (let y = 0; y < 20; y++) data.fill(y < 10 ? 1 : 2, y * side, y * side + 20);
  const colors: Record<number, readonly [number, number, number]> = { 1: [10, 20, 30], 2: [0, 0, 200] };
  const layer = paintLabels(
    { shape: [side, side], data },
    { colorOf: (label) => colors[label] ?? [1, 2, 3], fill: 0.4, dim: 0.2 },
  );
  assert.deepEqual(layer.shape, [side, side, 4]);
  const pixel = (x: number, y: number) =>
    [...layer.data.subarray((y * side + x) * 4, (y * side + x) * 4 + 4)].join();
  assert.equal(pixel(0, 0), "10,20,30,102");
  assert.equal(pixel(5, 15), "0,0,200,102");
  assert.equal(pixel(39, 39), "0,0,0,51");
  assert.equal(pixel(19, 5), "120,126,131,235");
  assert.equal(pixel(5, 9), "120,126,131,235", "between two labels");
  assert.equal(pixel(5, 10), "115,115,225,235", "between two labels");
  assert.equal(pixel(20, 5), "0,0,0,51");
});
