import assert from "node:assert/strict";
import test from "node:test";
import { reference } from "../../test/reference.js";
import { assertClose, seededUniform } from "../../test/support.js";
import { masksOf } from "../inference/masks.js";
import { asF32, f32 } from "../tensor.js";
import {
  BETA_SQUARED,
  type BinaryFrameScore,
  BinaryTally,
  FSCORE_THRESHOLDS,
  scoreBinaryFrame,
} from "./binary-metrics.js";
import { contourFscore } from "./contour-fscore.js";
import { ClassTally, countClasses, meanOverAllClasses } from "./semantic-metrics.js";

function score(logits: Float32Array<ArrayBuffer>, truth: Uint8Array, width: number): BinaryFrameScore {
  const { masks, probabilities } = masksOf(f32(logits, [1, 1, logits.length / width, width]));
  assert.ok(probabilities);
  return scoreBinaryFrame({ probabilities: probabilities.data, mask: masks.data, truth, width });
}

test("binary metrics equal the published ones, whole and by batches of four", async () => {
  const ref = await reference("metrics");
  const logits = ref.floats("logits");
  const truth = Uint8Array.from(ref.floats("masks"));
  const [frames = 0, height = 0, width = 0] = ref.tensor("logits").shape;
  const pixels = height * width;
  const scores = Array.from({ length: frames }, (_, i) =>
    score(logits.slice(i * pixels, (i + 1) * pixels), truth.slice(i * pixels, (i + 1) * pixels), width),
  );
  const whole = new BinaryTally();
  for (const s of scores) whole.add(s);
  assert.equal(whole.framesWithObject, 18); // two frames are empty, one is full
  assertClose([whole.miou], ref.floats("miou"), 1e-5, "miou");
  assertClose([whole.best.fscore], ref.floats("fscore"), 1e-5, "fscore");
  const batches = [0, 4, 8, 12, 16].map((start) => {
    const tally = new BinaryTally();
    for (const s of scores.slice(start, start + 4)) tally.add(s);
    return tally;
  });
  const mious = batches.map((tally) => tally.miou);
  const fscores = batches.map((tally) => tally.best.fscore);
  assertClose(mious, ref.floats("miou_per_batch_of_4"), 1e-5, "miou per batch");
  assertClose(fscores, ref.floats("fscore_per_batch_of_4"), 1e-5, "fscore per batch");
});

test("class metrics equal the published ones", async () => {
  const ref = await reference("metrics");
  const logits = asF32(ref.tensor("class_logits"), "class_logits");
  const [frames = 0, classes = 0, height = 0, width = 0] = logits.shape;
  const truth = Uint8Array.from(ref.tensor("classes").data, Number);
  const pixels = height * width;
  const { masks } = masksOf(logits);
  const tally = new ClassTally(classes);
  for (let i = 0; i < frames; i++) {
    const predicted = masks.data.subarray(i * pixels, (i + 1) * pixels);
    tally.add(countClasses(predicted, truth.subarray(i * pixels, (i + 1) * pixels), classes));
  }
  assertClose(tally.iouSum, ref.floats("iou_sum"), 1e-5, "iou sums");
  assertClose(tally.fscoreSum, ref.floats("fscore_sum"), 1e-5, "fscore sums");
  assert.deepEqual([...tally.framesOf], [...ref.floats("count")]);
  const metrics = tally.classes;
  assertClose([meanOverAllClasses(metrics, "iouPerImage")], ref.floats("avss_miou"), 1e-5, "miou");
  assertClose([meanOverAllClasses(metrics, "fscorePerImage")], ref.floats("avss_fscore"), 1e-5, "fscore");
  assertClose(
    [meanOverAllClasses(metrics.slice(0, -1), "iouPerImage")],
    ref.floats("avss_miou_published_no_background"),
    1e-5,
    "published no background",
  );
  assertClose(
    [meanOverAllClasses(metrics.slice(1), "iouPerImage")],
    ref.floats("avss_miou_without_class_0"),
    1e-5,
    "without class 0",
  );
});

test("the thresholds are those of a single-precision linspace", () => {
  assert.equal(FSCORE_THRESHOLDS.length, 255);
  assert.equal(FSCORE_THRESHOLDS[0], 0);
  assert.equal(FSCORE_THRESHOLDS[127], 0.5);
  assert.equal(FSCORE_THRESHOLDS[254], 1);
  assert.ok(FSCORE_THRESHOLDS.every((t, i) => i === 0 || t > (FSCORE_THRESHOLDS[i - 1] as number)));
});

test("one pass over the pixels equals 255 passes, ties with thresholds included", () => {
  const n = 2048;
  const logits = seededUniform("curve", n).map((u) => 8 * u);
  // Logits whose probabilities fall on thresholds, saturated ones and zero.
  for (let i = 1; i < 254; i++) logits[i] = Math.log(i / (254 - i));
  logits.set([0, 40, -40, 200, -200, 1e-9], 300);
  const truth = Uint8Array.from(seededUniform("truth", n), (u) => (u > 0.3 ? 1 : 0));
  const { fscores } = score(logits, truth, 64);
  assert.ok(fscores);
  const actual = truth.reduce((sum, y) => sum + y, 0);
  for (const [t, threshold] of FSCORE_THRESHOLDS.entries()) {
    let predicted = 0;
    let hits = 0;
    for (const [i, x] of logits.entries()) {
      if (Math.fround(1 / (1 + Math.exp(-x))) < threshold) continue;
      predicted++;
      hits += truth[i] as number;
    }
    const [p, r] = [hits / predicted, hits / actual];
    const f = ((1 + BETA_SQUARED) * p * r) / (BETA_SQUARED * p + r);
    assert.equal(fscores[t], Number.isNaN(f) ? 0 : f, `threshold ${t}`);
  }
});

test("empty, full and perfect frames score as published", () => {
  const empty = new Uint8Array(64);
  const full = new Uint8Array(64).fill(1);
  const low = new Float32Array(64).fill(-5);
  const high = new Float32Array(64).fill(5);
  const nothing = score(low, empty, 8);
  assert.ok(Math.abs(nothing.iou - 1) < 1e-6);
  assert.equal(nothing.fscores, undefined);
  assert.equal(nothing.regionJ, 1);
  const falseAlarm = score(high, empty, 8);
  assert.equal(falseAlarm.iou, 0);
  assert.equal(falseAlarm.regionJ, 0);
  const perfect = score(high, full, 8);
  assert.ok(Math.abs(perfect.iou - 1) < 1e-6);
  assert.equal(perfect.fscoreAtHalf, 1);
  const half = Float32Array.from({ length: 64 }, (_, i) => (i < 32 ? 5 : -5));
  // The background of a frame without object: 32 of its 64 pixels are left alone.
  assert.ok(Math.abs(score(half, empty, 8).iou - 0.5) < 1e-6);
  assert.equal(score(half, empty, 8).regionJ, 0);
});

test("a probability of exactly one half is background", () => {
  const { masks } = masksOf(f32([0, 1e-9, 1e-3, -1e-3], [1, 1, 2, 2]));
  assert.deepEqual(masks, { dtype: "u8", shape: [1, 2, 2], data: Uint8Array.of(0, 0, 1, 0) });
});

test("a pixel belongs to the class with the largest logit, the lowest of equals", () => {
  const { masks, probabilities } = masksOf(f32([0, 2, 1, 2, 1, 1, 3, 2, 1], [1, 3, 1, 3]));
  assert.deepEqual(masks, { dtype: "u8", shape: [1, 1, 3], data: Uint8Array.of(2, 0, 0) });
  assert.equal(probabilities, undefined);
});

test("a tally saved in the middle continues to the same sums", () => {
  const scores = Array.from({ length: 6 }, (_, i) => {
    const truth = Uint8Array.from(seededUniform(`t${i}`, 256), (u) => (i !== 2 && u > 0 ? 1 : 0));
    return score(
      seededUniform(`x${i}`, 256).map((u) => 3 * u),
      truth,
      16,
    );
  });
  const whole = new BinaryTally();
  for (const s of scores) whole.add(s);
  const first = new BinaryTally();
  for (const s of scores.slice(0, 3)) first.add(s);
  const second = new BinaryTally(JSON.parse(JSON.stringify(first)));
  for (const s of scores.slice(3)) second.add(s);
  assert.deepEqual(second.toJSON(), whole.toJSON());
});

test("pooled metrics count pixels, per-image metrics count frames", () => {
  const tally = new ClassTally(3);
  // Frame 1: class 1 fills 8 of 16 pixels and is found whole. Frame 2: 2 pixels, all missed.
  const truth1 = Uint8Array.from({ length: 16 }, (_, i) => (i < 8 ? 1 : 0));
  const truth2 = Uint8Array.from({ length: 16 }, (_, i) => (i < 2 ? 1 : 0));
  tally.add(countClasses(truth1, truth1, 3));
  tally.add(countClasses(new Uint8Array(16), truth2, 3));
  const [background, one, absent] = tally.classes;
  assert.equal(one?.iouPerImage, 0.5);
  assert.equal(one?.iouPooled, 0.8);
  assert.equal(background?.iouPooled, (8 + 14) / (8 + 16));
  assert.equal(absent?.frames, 0);
  assert.equal(absent?.iouPooled, undefined);
  assert.throws(() => countClasses(Uint8Array.of(3), Uint8Array.of(0), 3), /class 3, expected less than 3/);
});

test("outlines: equal masks score 1, a shift within the tolerance too, a far one 0", () => {
  const width = 224;
  const square = (left: number): Uint8Array =>
    Uint8Array.from({ length: width * width }, (_, i) => {
      const x = i % width;
      const y = (i - x) / width;
      return x >= left && x < left + 40 && y >= 60 && y < 100 ? 1 : 0;
    });
  assert.equal(contourFscore(square(50), square(50), width), 1);
  assert.equal(contourFscore(square(52), square(50), width), 1); // tolerance: ceil(0.008 * 316.8) = 3 pixels
  assert.equal(contourFscore(square(150), square(50), width), 0);
  const near = contourFscore(square(60), square(50), width);
  assert.ok(near > 0.4 && near < 0.9, `${near}`);
  assert.equal(contourFscore(new Uint8Array(width * width), square(50), width), 0);
  assert.equal(contourFscore(new Uint8Array(width * width), new Uint8Array(width * width), width), 1);
});
