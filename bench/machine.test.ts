/** The instruction sets that results name. */
import assert from "node:assert/strict";
import test from "node:test";
import { instructionSetOf, machine } from "./machine.js";

const x86 = (flags: string): string =>
  `processor\t: 0\nmodel name\t: X\nflags\t\t: ${flags}\nbogomips\t: 1\n`;

test("instruction sets from Linux's description of the processors", () => {
  const found = [
    ["fpu sse2 sse4_2 avx f16c avx2 vaes", "x64"],
    ["fpu sse2 sse4_2 avx avx2 avx_vnni", "x64"],
    ["fpu sse2 avx avx2 avx512f avx512bw avx512_vnni", "x64"],
    ["fpu sse2 avx avx2 avx512f avx512bw avx512_vnni amx_tile amx_int8", "x64"],
    ["fpu sse2 avx avx2 avx512f avx512bw", "x64"],
    ["fpu sse2 ssse3 sse4_2", "x64"],
  ].map(([flags = "", arch = ""]) => instructionSetOf(x86(flags), arch));
  assert.deepEqual(found, [
    "AVX2, no VNNI",
    "AVX2, VNNI",
    "AVX-512, VNNI",
    "AVX-512, VNNI, AMX",
    "AVX-512, no VNNI",
    "SSE4.2, no VNNI",
  ]);
  const arm = (features: string) => instructionSetOf(`processor\t: 0\nFeatures\t: ${features}\n`, "arm64");
  assert.equal(arm("fp asimd asimddp i8mm"), "NEON, integer matrix products");
  assert.equal(arm("fp asimd asimddp"), "NEON, dot product");
  assert.equal(arm("fp asimd"), "NEON, no dot product");
  assert.equal(instructionSetOf("", "arm64"), "arm64, instructions unknown");
});

test("this machine names its instructions", () => {
  assert.match(machine().instructionSet, /^\w.*, \w/);
});
