import assert from "node:assert/strict";
import test from "node:test";
import type { ClipBatch, Predictor } from "../inference/predictor.js";
import { soundInputs } from "../media/sound-inputs.js";
import { withOtherSound } from "./swapped-sound.js";

test("every window gets the next part of the other sound, in the form that the model takes", async () => {
  for (const soundForm of ["log-mel", "wave"] as const) {
    const batches: ClipBatch[] = [];
    const model: Predictor = {
      ...{ frameCount: 1, imageSize: 2, maskSize: 2, classes: ["sounding"], clipsPerRun: 1, soundForm },
      async predict(batch) {
        batches.push(batch);
        return { dtype: "f32", shape: [1, 1, 2, 2], data: new Float32Array(4) };
      },
      async close() {},
    };
    const own = soundInputs(new Float32Array(16_000), 1, soundForm);
    const frames = { dtype: "u8", shape: [1, 2, 2, 3], data: new Uint8Array(12) } as const;
    const frameMask = { dtype: "f32", shape: [1], data: Float32Array.of(1) } as const;
    const other = Float32Array.from({ length: 24_000 }, (_, i) => Math.sin(i / 7));
    const swapped = withOtherSound(model, other);
    for (let i = 0; i < 2; i++) await swapped.predict({ ...own, frames, frameMask });
    const second = Float32Array.from({ length: 16_000 }, (_, i) => other[(16_000 + i) % other.length] ?? 0);
    assert.deepEqual(
      batches.map(({ frames: _, frameMask: __, ...sound }) => sound),
      [soundInputs(other.slice(0, 16_000), 1, soundForm), soundInputs(second, 1, soundForm)],
    );
  }
});
