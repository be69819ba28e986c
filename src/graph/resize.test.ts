import assert from "node:assert/strict";
import test from "node:test";
import { evaluate } from "../../test/graphs.js";
import { input, matmul, resize } from "./index.js";
import { interpolation } from "./ops/resize.js";

test("nearest takes the same pixels in the runtime, in the gradient and in PyTorch, from any size to any", async () => {
  const sizes = Array.from({ length: 36 }, (_, i) => i + 1);
  for (const from of sizes) {
    const x = input("x", [1, 1, 1, from]);
    const data = Float32Array.from({ length: from }, (_, i) => i);
    const others = sizes.filter((to) => to !== from);
    const resized = await evaluate(
      Object.fromEntries(
        others.flatMap((to) => [
          [`resized ${to}`, resize(x, { mode: "nearest", height: 1, width: to })],
          [`product ${to}`, matmul(x, interpolation("nearest", from, to), { transB: true })],
        ]),
      ),
      { x: { dtype: "f32", shape: x.shape, data } },
    );
    for (const to of others) {
      // PyTorch: min(floor(i * scale), from - 1), in single precision.
      const scale = Math.fround(from / to);
      const expected = Float32Array.from({ length: to }, (_, i) =>
        Math.min(Math.floor(Math.fround(i * scale)), from - 1),
      );
      assert.deepEqual(resized[`resized ${to}`]?.data, expected, `${from} to ${to}`);
      assert.deepEqual(resized[`product ${to}`]?.data, expected, `gradient of ${from} to ${to}`);
    }
  }
});

test("14 to 4 is what PyTorch gives", async () => {
  const x = input("x", [1, 1, 14, 14]);
  const data = Float32Array.from({ length: 196 }, (_, i) => i);
  const { y } = await evaluate(
    { y: resize(x, { mode: "nearest", height: 4, width: 4 }) },
    { x: { dtype: "f32", shape: x.shape, data } },
  );
  const picked = [0, 3, 7, 10];
  assert.deepEqual(
    [...(y?.data ?? [])],
    picked.flatMap((row) => picked.map((column) => 14 * row + column)),
  );
});
