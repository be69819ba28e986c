import assert from "node:assert/strict";
import test from "node:test";
import { raceTable, speedPage } from "./tables.js";

test("the tables of docs/guides/speed.md are those of the newest results", () => {
  const { found, expected } = speedPage();
  assert.equal(found, expected, "run `node dist/bench/peers/tables.js`");
});

test("a table has a row for each contestant that ran, relative to the first, and says who did not", () => {
  const result = {
    fastestSeconds: 1,
    openSeconds: 4.25,
    peakResidentBytes: 2.5e9,
    difference: 0,
    flippedFraction: 0.0123,
  };
  const table = raceTable({
    rounds: 3,
    threads: 2,
    load: [],
    results: { avseg: { ...result, seconds: 2 }, torch: { ...result, seconds: 3, version: "2.13.0" } },
    skipped: { openvino: "openvino is not installed" },
  });
  assert.deepEqual(table.split("\n").slice(2), [
    "| avseg | 2.00 s | 1.00 | 2.50 GB | 4.3 s | 1.23% |",
    "| PyTorch, eager 2.13.0 | 3.00 s | 1.50 | 2.50 GB | 4.3 s | 1.23% |",
    "",
    "OpenVINO did not run: openvino is not installed.",
  ]);
});
