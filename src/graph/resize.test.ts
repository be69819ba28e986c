/** Resizing by nearest against PyTorch, from any size to any: ONNX Runtime's own rule differs for some of them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { z } from "zod";
import { evaluate } from "../../test/graphs.js";
import { referencePath } from "../../test/reference.js";
import { f32 } from "../tensor.js";
import { input, matmul, resize } from "./index.js";
import { interpolation } from "./ops/resize.js";

/** `[n - 1][to - 1]`: which of a row's `n` pixels PyTorch takes for each of `to` (tools/reference/ops.py). */
const nearest = z
  .array(z.array(z.array(z.int())))
  .parse(JSON.parse(readFileSync(referencePath("resize.json"), "utf8")));

const numbered = (size: number) => Array.from({ length: size }, (_, i) => i);

test("nearest takes PyTorch's pixels in the runtime and in the gradient, from any size to any", async () => {
  assert.equal(nearest.length, 36);
  for (const [i, rows] of nearest.entries()) {
    const from = i + 1;
    assert.equal(rows.length, 36);
    const x = input("x", [1, 1, 1, from]);
    // Resizing to the same size is no op.
    const others = rows.map((expected, k) => ({ to: k + 1, expected })).filter(({ to }) => to !== from);
    const resized = await evaluate(
      Object.fromEntries(
        others.flatMap(({ to }) => [
          [`resized ${to}`, resize(x, { mode: "nearest", height: 1, width: to })],
          [`product ${to}`, matmul(x, interpolation("nearest", from, to), { transB: true })],
        ]),
      ),
      { x: f32(numbered(from), x.shape) },
    );
    for (const { to, expected } of others) {
      assert.deepEqual([...(resized[`resized ${to}`]?.data ?? [])], expected, `${from} to ${to}`);
      assert.deepEqual([...(resized[`product ${to}`]?.data ?? [])], expected, `gradient of ${from} to ${to}`);
    }
  }
});

test("14x14 to 4x4 takes PyTorch's pixels on both axes", async () => {
  const x = input("x", [1, 1, 14, 14]);
  const y = resize(x, { mode: "nearest", height: 4, width: 4 });
  const out = await evaluate({ y }, { x: f32(numbered(196), x.shape) });
  const picked = [0, 3, 7, 10];
  const expected = picked.flatMap((row) => picked.map((column) => 14 * row + column));
  assert.deepEqual([...(out.y?.data ?? [])], expected);
});
