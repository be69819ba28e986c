import assert from "node:assert/strict";
import test from "node:test";
import { fitExamples } from "./log-mel.js";
import { fitWave, soundInputs } from "./sound-inputs.js";

const tone = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i / 5));

test("a window's sound becomes log-mels or a wave of whole seconds", () => {
  for (const length of [40_000, 32_000, 30_000, 0]) {
    const samples = tone(length);
    const logMel = fitExamples(samples, 16_000, 2);
    assert.deepEqual(soundInputs(samples, 2), { logMel });
    const { sound = assert.fail(), ...others } = soundInputs(samples, 2, "wave");
    assert.deepEqual(others, {});
    assert.deepEqual(sound.shape, [1, 32_000]);
    assert.deepEqual(sound.data.subarray(0, length), samples.subarray(0, 32_000));
    assert.ok(sound.data.subarray(length).every((x) => x === 0));
  }
});

test("samples in double precision are rounded", () => {
  assert.deepEqual(fitWave(Float64Array.of(0.1), 1).subarray(0, 2), Float32Array.of(0.1, 0));
});
