import assert from "node:assert/strict";
import test from "node:test";
import { assertClose, seededUniform } from "../../test/support.js";
import { resample, resampleReach } from "./resample.js";

test("resampling keeps a tone and its length", () => {
  const tone = Float32Array.from({ length: 4410 }, (_, i) => Math.sin((2 * Math.PI * 440 * i) / 44100));
  const out = resample(tone, 44100, 16000);
  assert.equal(out.length, 1600);
  const expected = Float32Array.from({ length: 1600 }, (_, i) => Math.sin((2 * Math.PI * 440 * i) / 16000));
  assertClose(out.subarray(200, 1400), expected.subarray(200, 1400), 1e-3, "tone"); // away from the ends
  assert.equal(resample(tone, 16000, 16000), tone);
  assert.throws(() => resample(tone, 0, 16000), /a sample rate of 0 Hz/);
});

test("samples beyond the filter's reach have no effect, however many outputs there are", () => {
  for (const rateHz of [8000, 22_050, 44_100, 44_099, 48_000]) {
    const samples = seededUniform(`reach ${rateHz}`, rateHz);
    const whole = resample(samples, rateHz, 16_000);
    for (const count of [1, 7, 1000, 8160]) {
      const end = Math.ceil((count * rateHz) / 16_000) + resampleReach(rateHz, 16_000);
      const part = resample(samples.subarray(0, end), rateHz, 16_000);
      assert.ok(part.length > count && part.length < whole.length);
      assert.deepEqual(part.subarray(0, count), whole.subarray(0, count), `${count} at ${rateHz} Hz`);
    }
  }
});
