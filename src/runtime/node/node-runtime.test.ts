import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { tempDir } from "../../../test/temp-dir.js";
import { tempEnv } from "../../../test/temp-env.js";
import { OutOfMemoryError } from "../../errors.js";
import { fileTensor } from "../../file-tensor.js";
import { add, emitOnnx, expand, input, matmul, mean, mul, parameter } from "../../graph/index.js";
import { narrowToHalf } from "../../half.js";
import { f32, full } from "../../tensor.js";
import { minMappedBytes } from "../protocol.js";
import { OwnedWeights } from "../runtime.js";
import { nodeRuntime } from "./node-runtime.js";

// Comes first: ONNX Runtime sets the mode for the thread of a process's first session only.
test("subnormal numbers are zero on processors that have a mode for it", async (t) => {
  const runtime = nodeRuntime({ threads: 2 });
  t.after(() => runtime.close());
  const x = input("x", [1000]);
  const session = await runtime.createSession({ graph: emitOnnx({ y: mul(x, x) }), weights: new Map() });
  const { y } = await session.run({ x: full([1000], 1e-20) });
  const expected = process.arch === "x64" ? 0 : Math.fround(1e-40);
  assert.ok(
    y?.data.every((value) => value === expected),
    `${y?.data[0]}`,
  );
});

test("an allocation that fails inside ONNX Runtime is an OutOfMemoryError with a hint", async (t) => {
  const runtime = nodeRuntime({ threads: 1 });
  t.after(() => runtime.close());
  const huge = expand(input("x", [1, 1]), [2 ** 22, 2 ** 25]); // 2^49 bytes: more than a process can address
  const session = await runtime.createSession({ graph: emitOnnx({ y: mean(huge) }), weights: new Map() });
  await assert.rejects(session.run({ x: f32([1], [1, 1]) }), (error: unknown) => {
    assert.ok(error instanceof OutOfMemoryError, String(error));
    assert.equal(error.hint, "Process fewer clips at a time, or free memory.");
    return true;
  });
});

test("large weights are mapped from a file that is gone afterwards; without a place for it they stay in memory", async (t) => {
  const dir = await tempDir(t);
  const setCache = tempEnv(t, "AVSEG_CACHE");
  const file = path.join(dir, "a file");
  await writeFile(file, "");
  const rows = 1000;
  const columns = Math.ceil(minMappedBytes / 4 / rows);
  const shapes = { w: [rows, columns], b: [columns] };
  const y = add(matmul(input("x", [1, rows]), parameter("w", shapes.w)), parameter("b", shapes.b));
  const w = full(shapes.w, 0);
  for (let i = 0; i < rows; i++) w.data[i * columns + (i % 7)] = i;
  const b = f32(
    Float32Array.from({ length: columns }, (_, i) => i / 2),
    shapes.b,
  );
  const expected = Float64Array.from(b.data);
  for (let i = 0; i < rows; i++) expected[i % 7] = (expected[i % 7] ?? Number.NaN) + i;
  for (const place of [dir, file]) {
    setCache(place);
    const runtime = nodeRuntime({ threads: 1 });
    t.after(() => runtime.close());
    const weights = new Map([
      ["w", w],
      ["b", b],
    ]);
    const session = await runtime.createSession({ graph: emitOnnx({ y }), weights });
    const result = await session.run({ x: full([1, rows], 1) });
    assert.deepEqual(Float64Array.from(result.y?.data ?? [], Number), expected, place);
    assert.equal(w.data.length, rows * columns, "weights that are lent stay");
  }
  assert.deepEqual(await readdir(path.join(dir, "sessions")), []);
});

test("weights that lie in a file are mapped from there: they are neither read nor written", async (t) => {
  const dir = await tempDir(t);
  tempEnv(t, "AVSEG_CACHE")(path.join(dir, "cache"));
  const rows = 1000;
  const columns = Math.ceil(minMappedBytes / 4 / rows);
  const file = path.join(dir, "weights");
  await writeFile(
    file,
    new Uint8Array(Float32Array.from({ length: rows * columns }, (_, i) => i % 5).buffer),
  );
  const { root } = path.parse(file);
  const place = { folder: root, location: path.relative(root, file), offset: 0, length: 4 * rows * columns };
  const w = fileTensor({
    shape: [rows, columns],
    place,
    read: () => assert.fail("the elements are read"),
  });
  const b = full([columns], 0.5);
  const y = add(matmul(input("x", [1, rows]), parameter("w", w.shape)), parameter("b", b.shape));
  const runtime = nodeRuntime({ threads: 1 });
  t.after(() => runtime.close());
  const weights = new OwnedWeights(new Map([["w", w] as const, ["b", b] as const]));
  const session = await runtime.createSession({ graph: emitOnnx({ y }), weights });
  const { y: result } = await session.run({ x: full([1, rows], 1) });
  const sums = Float64Array.from({ length: columns }, (_, column) => {
    let sum = 0.5;
    for (let row = 0; row < rows; row++) sum += (row * columns + column) % 5;
    return sum;
  });
  assert.deepEqual(Float64Array.from(result?.data ?? [], Number), sums);
  assert.deepEqual(await readdir(dir), ["weights"]);
});

test("halves that lie in a file are widened into a file that is mapped, and into memory where none can be written", async (t) => {
  const dir = await tempDir(t);
  const rows = 1000;
  const columns = Math.ceil(minMappedBytes / 4 / rows);
  const values = Float32Array.from({ length: rows * columns }, (_, i) => (i % 5) - 1.5);
  const header = 6; // no multiple of 4
  const file = path.join(dir, "halves");
  const { root } = path.parse(file);
  const sums = Float64Array.from({ length: columns }, (_, column) => {
    let sum = 0.5;
    for (let row = 0; row < rows; row++) sum += values[row * columns + column]!;
    return sum;
  });
  const bits = {
    f16: narrowToHalf(values),
    bf16: Uint16Array.from(new Uint32Array(values.buffer), (word) => word >>> 16),
  };
  for (const halves of ["f16", "bf16"] as const) {
    await writeFile(file, Buffer.concat([Buffer.alloc(header), new Uint8Array(bits[halves].buffer)]));
    for (const cache of ["cache", "halves"]) {
      tempEnv(t, "AVSEG_CACHE")(path.join(dir, cache)); // the file of weights is no place for a folder
      const length = 2 * rows * columns;
      const w = fileTensor({
        shape: [rows, columns],
        place: { folder: root, location: path.relative(root, file), offset: header, length, halves },
        read: () => assert.fail("the elements are read"),
      });
      const y = add(matmul(input("x", [1, rows]), parameter("w", w.shape)), parameter("b", [columns]));
      const runtime = nodeRuntime({ threads: 1 });
      t.after(() => runtime.close());
      const weights = new OwnedWeights(new Map([["w", w] as const, ["b", full([columns], 0.5)] as const]));
      const session = await runtime.createSession({ graph: emitOnnx({ y }), weights });
      const { y: result } = await session.run({ x: full([1, rows], 1) });
      assert.deepEqual(Float64Array.from(result?.data ?? [], Number), sums, `${halves}, ${cache}`);
    }
  }
  assert.deepEqual(await readdir(path.join(dir, "cache", "sessions")), []);
});

test("a provider that Node does not have is refused by type, and by name from plain JavaScript", () => {
  const options = JSON.parse('{ "provider": "wasm" }');
  const message = 'nodeRuntime: expected one of the providers cpu, webgpu, cuda, dml, coreml, found "wasm"';
  assert.throws(() => nodeRuntime(options), { name: "RangeError", message });
  // @ts-expect-error: "wasm" runs in browsers only.
  assert.throws(() => nodeRuntime({ provider: "wasm" }), RangeError);
});
