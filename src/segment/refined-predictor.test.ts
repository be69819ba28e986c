import assert from "node:assert/strict";
import test from "node:test";
import type { ClipBatch, Predictor } from "../inference/predictor.js";
import { refinedPredictor } from "./refined-predictor.js";

const side = 128;
const pixels = side * side;
const inDisk = (i: number, radius: number) => Math.hypot((i % side) - 64, Math.floor(i / side) - 60) < radius;

/** Two frames: an orange disk on green, and green alone. */
function frames(): ClipBatch {
  const data = new Uint8Array(2 * pixels * 3);
  for (let i = 0; i < 2 * pixels; i++)
    data.set(i < pixels && inDisk(i, 30) ? [230, 140, 40] : [40, 120, 70], 3 * i);
  return {
    frames: { dtype: "u8", shape: [2, side, side, 3], data },
    frameMask: { dtype: "f32", shape: [2], data: Float32Array.of(1, 1) },
  };
}

/** A model that marks a disk of this radius as its last class in the first frame, and nothing in the second. */
function modelOf(radius: number, classes: readonly string[], marked = 4): Predictor {
  const data = new Float32Array(2 * classes.length * pixels);
  for (let n = 0; n < 2; n++) {
    for (let i = 0; i < pixels; i++) {
      const value = n === 0 && inDisk(i, radius) ? marked : -4;
      data[((n + 1) * classes.length - 1) * pixels + i] = value;
    }
  }
  return {
    ...{ frameCount: 2, imageSize: side, maskSize: side, classes, clipsPerRun: 1 },
    predict: async () => ({ dtype: "f32", shape: [2, classes.length, side, side], data }),
    close: async () => undefined,
  };
}

/** Overlap of what is marked in the first frame with the disk; nothing may be marked in the second. */
function overlap(isMarked: (i: number) => boolean): number {
  let both = 0;
  let either = 0;
  for (let i = 0; i < pixels; i++) {
    const [a, b] = [isMarked(i), inDisk(i, 30)];
    if (a && b) both++;
    if (a || b) either++;
    assert.ok(!isMarked(pixels + i), `the second frame is marked at ${i}`);
  }
  return both / either;
}

test("refined logits mark the objects of the frames, for one class and for several", async () => {
  const binary = await refinedPredictor(modelOf(26, ["sounding"])).predict(frames());
  assert.ok(overlap((i) => binary.data[i]! > 0) > 0.9);
  assert.ok(binary.data.every(Number.isFinite));

  const several = await refinedPredictor(modelOf(26, ["background", "cat", "dog"])).predict(frames());
  assert.deepEqual(several.shape, [2, 3, side, side]);
  const planes = Array.from({ length: 6 }, (_, k) => several.data.subarray(k * pixels, (k + 1) * pixels));
  const isDog = (i: number) => {
    const [background, cat, dog] = planes.slice(i < pixels ? 0 : 3);
    const values = [background, cat, dog].map((plane) => plane![i % pixels]!);
    assert.deepEqual(values.toSorted(), [0, 0, 1]);
    return values[2] === 1;
  };
  assert.ok(overlap(isDog) > 0.9);
});

test("logits that are not finite are left for the caller to find", async () => {
  const { data } = await refinedPredictor(modelOf(26, ["sounding"], Number.NaN)).predict(frames());
  assert.ok(data.some(Number.isNaN));
});
