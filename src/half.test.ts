import assert from "node:assert/strict";
import test from "node:test";
import { narrowToHalf, widenBfloat16, widenHalf } from "./half.js";

test("every half survives the way to a float and back", () => {
  const bits = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
  const back = narrowToHalf(widenHalf(bits));
  for (let i = 0; i < bits.length; i++) {
    const isNan = (i & 0x7c00) === 0x7c00 && (i & 0x3ff) !== 0;
    if (isNan) assert.equal((back[i] as number) & 0x7fff, 0x7e00);
    else assert.equal(back[i], i);
  }
});

test("known halves", () => {
  assert.deepEqual(
    [...widenHalf(Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x7c00))],
    [1, -2, 65504, 2 ** -24, 2 ** -14, Number.POSITIVE_INFINITY],
  );
});

test("narrowing rounds to nearest, ties to even", () => {
  const cases: [number, number][] = [
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [1 + 2 ** -11 + 2 ** -20, 0x3c01],
    [65519.99, 0x7bff],
    [65520, 0x7c00],
    [2 ** -25, 0x0000],
    [2 ** -25 * 1.001, 0x0001],
    [3 * 2 ** -25, 0x0002],
    [2 ** -14 - 2 ** -26, 0x0400],
    [-1e-30, 0x8000],
    [Number.NEGATIVE_INFINITY, 0xfc00],
  ];
  for (const [value, expected] of cases) {
    assert.equal(narrowToHalf(Float32Array.of(value))[0], expected, `${value}`);
  }
});

test("bfloat16 is the upper half of a float", () => {
  assert.deepEqual([...widenBfloat16(Uint16Array.of(0x3f80, 0xc040, 0x0000))], [1, -3, 0]);
});
