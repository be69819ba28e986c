import assert from "node:assert/strict";
import test from "node:test";
import { crc32, tableCrc32 } from "./crc32.js";

test("CRC-32 by tables and by Node, at once and in parts", () => {
  const bytes = Uint8Array.from({ length: 1003 }, (_, i) => (i * 7919) % 256);
  for (const compute of [crc32, tableCrc32]) {
    assert.equal(compute(new TextEncoder().encode("123456789")), 0xcbf43926);
    assert.equal(compute(new Uint8Array(0)), 0);
    for (const cut of [0, 1, 8, 500, 1003]) {
      assert.equal(
        compute(bytes.subarray(cut), compute(bytes.subarray(0, cut))),
        tableCrc32(bytes),
        `${cut}`,
      );
    }
  }
});
