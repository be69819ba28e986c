import assert from "node:assert/strict";
import test from "node:test";
import { reference, referencePath } from "../../test/reference.js";
import { exampleCount, fitExamples, logMelExamples, SILENT_LOG_MEL } from "./log-mel.js";
import { readWavFile } from "./node/wav-file.js";
import { toMono } from "./wav.js";

test("log-mels of four rates agree with the reference", async () => {
  const ref = await reference("log_mel");
  assert.equal(ref.keys.length, 4);
  for (const name of ref.keys) {
    const wav = await readWavFile(referencePath("audio", `${name}.wav`));
    ref.assertClose(logMelExamples(toMono(wav), wav.sampleRateHz), name, 1e-5);
  }
});

test("example counts at the limits, and sound fitted to a number of steps", () => {
  assert.deepEqual([0, 15_599, 15_600, 80_000, 160_000].map(exampleCount), [0, 0, 1, 5, 10]);
  const short = fitExamples(new Float32Array(100), 16_000, 3);
  assert.deepEqual(short.shape, [3, 1, 96, 64]);
  assert.ok(short.data.every((x) => x === Math.fround(SILENT_LOG_MEL)));
  const noise = Float32Array.from({ length: 40_000 }, (_, i) => Math.sin(i * i));
  const fitted = fitExamples(noise, 16_000, 4).data;
  assert.deepEqual(fitted.subarray(2 * 6144, 3 * 6144), fitted.subarray(6144, 2 * 6144));
  assert.notDeepEqual(fitted.subarray(0, 6144), fitted.subarray(6144, 2 * 6144));
});
