import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { reference } from "../../test/reference.js";
import { assertClose, seededInput } from "../../test/support.js";
import { tempDir } from "../../test/temp-dir.js";
import { CheckpointError } from "../errors.js";
import { f32, type Tensor } from "../tensor.js";
import { bytesSource } from "./byte-source.js";
import { loadSafetensors, loadSafetensorsHeader, writeSafetensors } from "./node/safetensors-file.js";
import { encodeSafetensors, readSafetensors, readSafetensorsHeader } from "./safetensors.js";

const sample = new Map<string, Tensor>([
  ["b.weight", f32([1, 2.5, -3, 4, 5, 6], [2, 3])],
  ["7", { dtype: "u8", shape: [3], data: Uint8Array.of(1, 2, 255) }],
  ["a", { dtype: "i64", shape: [2], data: BigInt64Array.of(-1n, 2n ** 60n) }],
  ["d", { dtype: "f64", shape: [], data: Float64Array.of(Math.PI) }],
  ["i", { dtype: "i32", shape: [1, 2], data: Int32Array.of(-7, 8) }],
  ["flags", { dtype: "bool", shape: [2], data: Uint8Array.of(1, 0) }],
  ["empty", f32([], [0, 3])],
]);

function encode(...args: Parameters<typeof encodeSafetensors>): Uint8Array {
  return Buffer.concat([...encodeSafetensors(...args)]);
}

/** A file with the header `json` and `dataBytes` zeros. */
function fileWith(json: string, dataBytes: number, length = json.length): Uint8Array {
  const out = Buffer.alloc(8 + json.length + dataBytes);
  out.writeBigUInt64LE(BigInt(length), 0);
  out.write(json, 8, "latin1");
  return out;
}

test("all dtypes, shapes and metadata survive writing and reading", async () => {
  const bytes = encode(sample, { z: "1", a: "ä" });
  const { tensors, metadata } = await readSafetensors(bytesSource("x", bytes));
  assert.deepEqual(metadata, { a: "ä", z: "1" });
  assert.deepEqual(new Map([...tensors].sort()), new Map([...sample].sort()));
});

test("the bytes do not depend on the order of insertion", () => {
  const reversed = new Map([...sample].reverse());
  assert.deepEqual(encode(sample, { a: "1", b: "2" }), encode(reversed, { b: "2", a: "1" }));
});

test("f16 halves the floats only, and refuses what does not fit", async () => {
  const read = await readSafetensors(bytesSource("x", encode(sample, {}, { dtype: "f16" })));
  assert.deepEqual(read.tensors.get("b.weight"), sample.get("b.weight"));
  const { entries } = await readSafetensorsHeader(bytesSource("x", encode(sample, {}, { dtype: "f16" })));
  assert.equal(entries.get("b.weight")?.type, "f16");
  assert.equal(entries.get("d")?.type, "f64");
  assert.throws(
    () => encode(new Map([["w", f32([1, 1e6], [2])]]), {}, { dtype: "f16" }),
    /w: the value 1000000/,
  );
});

test("stored halves, bfloat16 and small integers are widened", async () => {
  const header = {
    h: { dtype: "F16", shape: [1], data_offsets: [0, 2] },
    b: { dtype: "BF16", shape: [1], data_offsets: [2, 4] },
    s: { dtype: "I16", shape: [1], data_offsets: [4, 6] },
    c: { dtype: "I8", shape: [1], data_offsets: [6, 7] },
  };
  const bytes = fileWith(JSON.stringify(header), 7);
  bytes.set([0x00, 0x3e, 0x40, 0xc0, 0xfe, 0xff, 0x80], bytes.length - 7);
  const { tensors } = await readSafetensors(bytesSource("x", bytes));
  assert.deepEqual(
    [...tensors].map(([key, t]) => [key, t.dtype, t.data[0]]),
    [
      ["h", "f32", 1.5],
      ["b", "f32", -3],
      ["s", "i32", -2],
      ["c", "i32", -128],
    ],
  );
});

test("malformed files are refused with the file's name and the reason", async () => {
  const entry = (offsets: number[], shape: unknown = [2], dtype = "U8") =>
    JSON.stringify({ w: { dtype, shape, data_offsets: offsets } });
  const whole = encode(sample);
  const cases: [string, Uint8Array, RegExp][] = [
    ["empty", new Uint8Array(), /0 bytes are too few/],
    ["truncated data", whole.subarray(0, whole.length - 1), /end at byte/],
    ["truncated header", whole.subarray(0, 40), /announce a header/],
    ["trailing bytes", Buffer.concat([whole, Buffer.of(0)]), /end at byte/],
    ["huge header", fileWith("{}", 0, 2 ** 40), /announce a header of 1099511627776/],
    ["not JSON", fileWith("{x}", 0), /not JSON/],
    ["not an object", fileWith("[]", 0), /not a JSON object/],
    ["unknown dtype", fileWith(entry([0, 2], [2], "Q4"), 2), /dtype "Q4", expected one of F64/],
    ["prototype as dtype", fileWith(entry([0, 2], [2], "toString"), 2), /dtype "toString"/],
    ["negative shape", fileWith(entry([0, 2], [-2]), 2), /shape \[-2\]/],
    ["shape overflow", fileWith(entry([0, 2], [2 ** 40, 2 ** 40]), 2), /has the shape/],
    ["reversed offsets", fileWith(entry([2, 0]), 2), /data offsets \[2,0\]/],
    ["size mismatch", fileWith(entry([0, 3]), 3), /is U8\[2\] but has 3 bytes/],
    ["out of range", fileWith(entry([0, 2]), 1), /end at byte/],
    ["hole", fileWith(entry([1, 3]), 3), /tensor w leaves a hole/],
    [
      "overlap",
      fileWith(
        '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}',
        3,
      ),
      /tensor b overlaps/,
    ],
    ["metadata", fileWith('{"__metadata__":{"a":1}}', 0), /__metadata__\.a is not a string/],
  ];
  for (const [what, bytes, message] of cases) {
    await assert.rejects(readSafetensors(bytesSource("some.safetensors", bytes)), (error) => {
      assert.ok(error instanceof CheckpointError, what);
      assert.match(error.message, message, what);
      assert.match(error.message, /^some\.safetensors: /);
      return true;
    });
  }
});

test("files are written atomically, and read whole, in part or by header", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "w.safetensors");
  await writeSafetensors(file, sample, { metadata: { step: "3" } });
  assert.deepEqual(await readFile(file), Buffer.from(encode(sample, { step: "3" })));
  assert.deepEqual(await readdir(dir), ["w.safetensors"]);
  const part = await loadSafetensors(file, { select: (key) => key.startsWith("b.") });
  assert.deepEqual([...part.tensors.keys()], ["b.weight"]);
  assert.equal((await loadSafetensorsHeader(file)).metadata.step, "3");
  await assert.rejects(loadSafetensors(path.join(dir, "none")), /no such file/);
  await assert.rejects(loadSafetensors(dir), CheckpointError);
  const bad = new Map([["w", f32([1e9], [1])]]);
  await assert.rejects(writeSafetensors(file, bad, { dtype: "f16" }), /too large for half/);
  assert.equal((await loadSafetensorsHeader(file)).entries.size, sample.size);
  await writeFile(file, "");
  await assert.rejects(loadSafetensors(file), /0 bytes are too few/);
  assert.deepEqual(await readdir(dir), ["w.safetensors"]);
});

test("reference files are read", async () => {
  const ref = await reference("losses");
  const seeded = seededInput("loss_x", ref.tensor("logits").shape, 4);
  assertClose(ref.floats("logits"), seeded.data, 1e-7, "logits");
});
