import assert from "node:assert/strict";
import test from "node:test";
import { reference, referencePath } from "../../test/reference.js";
import { assertClose } from "../../test/support.js";
import { exampleCount, fitExamples, logMelExamples, SILENT_LOG_MEL } from "./log-mel.js";
import { readWavFile } from "./node/wav-file.js";
import { resample } from "./resample.js";
import { toMono } from "./wav.js";

test("log-mels of four rates agree with the reference", async () => {
  const ref = await reference("log_mel");
  assert.equal(ref.keys.length, 4);
  for (const name of ref.keys) {
    const wav = await readWavFile(referencePath("audio", `${name}.wav`));
    ref.assertClose(logMelExamples(toMono(wav), wav.sampleRateHz), name, 1e-5);
  }
});

test("resampling keeps a tone and its length", () => {
  const tone = Float32Array.from({ length: 4410 }, (_, i) => Math.sin((2 * Math.PI * 440 * i) / 44100));
  const out = resample(tone, 44100, 16000);
  assert.equal(out.length, 1600);
  const expected = Float32Array.from({ length: 1600 }, (_, i) => Math.sin((2 * Math.PI * 440 * i) / 16000));
  assertClose(out.subarray(200, 1400), expected.subarray(200, 1400), 1e-3, "tone"); // away from the ends
  assert.equal(resample(tone, 16000, 16000), tone);
  assert.throws(() => resample(tone, 0, 16000), /a sample rate of 0 Hz/);
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
