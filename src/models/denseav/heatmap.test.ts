import assert from "node:assert/strict";
import test from "node:test";
import { evaluate } from "../../../test/graphs.js";
import { assertClose, seededInput, seededUniform } from "../../../test/support.js";
import { constant, matmul, reshape } from "../../graph/index.js";
import { asF32, f32, type Tensor, type TensorOf } from "../../tensor.js";
import {
  blurred,
  heatOf,
  logitsOf,
  otsuThreshold,
  secondsOfSteps,
  shownHeat,
  similarity,
} from "./heatmap.js";

const dataOf = (tensor: Tensor | undefined) => asF32(tensor ?? assert.fail("no tensor"), "tensor").data;

test("the blur over time has the published weights and repeats the ends", async () => {
  const step = constant(f32([1, 0, 0, 0, 0, 1, 0], [1, 7]));
  const { y } = await evaluate({ y: blurred(step) }, {});
  const [side, center] = [0.10650698, 0.78698604];
  assertClose(dataOf(y), [side + center, side, 0, 0, side, center, side], 1e-6, "blur");
});

test("a second is the mean over its blurred steps, which are cut where seconds meet", async () => {
  // Seven steps of a ramp in two seconds: 3.5 steps each, the fourth half in either.
  const ramp = constant(f32([0, 1, 2, 3, 4, 5, 6], [7, 1]));
  const { y } = await evaluate({ y: matmul(secondsOfSteps(2, 7), ramp) }, {});
  const end = 0.10650698; // the blur moves the ends inwards
  assertClose(dataOf(y), [(end + 1 + 2 + 1.5) / 3.5, (1.5 + 4 + 5 + 6 - end) / 3.5], 1e-6, "seconds");
  const { ones } = await evaluate(
    { ones: matmul(secondsOfSteps(10, 55), constant(f32(new Float32Array(55).fill(1), [55, 1]))) },
    {},
  );
  assertClose(
    dataOf(ones),
    Array.from({ length: 10 }, () => 1),
    1e-6,
    "weights of seconds",
  );
});

test("heat is the largest similarity of the heads", async () => {
  const patches = constant(seededInput("patches", [3, 5, 8]));
  const seconds = constant(seededInput("seconds", [3, 1, 8]));
  const found = await evaluate(
    { heat: heatOf(patches, seconds, 2), all: reshape(similarity(patches, seconds, 2), [3, 2, 5]) },
    {},
  );
  const all = dataOf(found.all);
  const expected = Array.from({ length: 15 }, (_, i) => {
    const at = Math.floor(i / 5) * 10 + (i % 5);
    return Math.max(all[at] ?? 0, all[at + 5] ?? 0);
  });
  assertClose(dataOf(found.heat), expected, 1e-6, "heat");
});

test("shown heat is clamped and scaled to 0 and 1 over a clip; padded frames do not count", async () => {
  const heat = constant(f32([-1, 2, 4, 3, 6, 2, 4, 5], [2, 4]));
  const kept = constant(f32([1, 1, 1, 0, 0, 1, 1, 1], [2, 4]));
  const found = await evaluate({ all: shownHeat(heat, undefined), some: shownHeat(heat, kept) }, {});
  assertClose(dataOf(found.all), [0, 0.5, 1, 0.75, 1, 0, 0.5, 0.75], 1e-6, "all");
  assertClose(dataOf(found.some), [0, 0.5, 1, 0, 0, 0, 2 / 3, 1], 1e-6, "some");
});

/** Otsu's threshold by its definition. */
function otsu(values: readonly number[]): number {
  const mean = (of: readonly number[]) => of.reduce((a, b) => a + b, 0) / of.length;
  const between = Array.from({ length: 63 }, (_, i) => {
    const [above, below] = [values.filter((v) => v > (i + 1) / 64), values.filter((v) => v <= (i + 1) / 64)];
    if (above.length === 0 || below.length === 0) return 0;
    return (above.length * below.length * (mean(above) - mean(below)) ** 2) / values.length ** 2;
  });
  const best = Math.max(...between);
  return mean(between.flatMap((v, i) => (v > best * (1 - 1e-6) ? [(i + 1) / 64] : [])));
}

test("the threshold is Otsu's, and logits are zero there", async () => {
  // Two groups around 0.2 and 0.7, of 70 and 30 values.
  const values = Float32Array.from(seededUniform("values", 100), (u, i) => (i < 70 ? 0.2 : 0.7) + 0.15 * u);
  const one: TensorOf<"f32"> = f32(values, [1, 100]);
  const both = f32(Float32Array.from([...values, ...values.map((v) => v / 2)]), [2, 100]);
  const kept = f32(
    Array.from({ length: 100 }, (_, i) => (i % 3 === 0 ? 0 : 1)),
    [1, 100],
  );
  const found = await evaluate(
    {
      both: otsuThreshold(constant(both), undefined),
      some: otsuThreshold(constant(one), constant(kept)),
      logits: logitsOf(constant(one), undefined),
    },
    {},
  );
  const list = [...values];
  const halves = list.map((v) => v / 2);
  assertClose(dataOf(found.both), [otsu(list), otsu(halves)], 1e-6, "two clips");
  const real = list.filter((_, i) => i % 3 !== 0);
  assertClose(dataOf(found.some), [otsu(real)], 1e-6, "without padded pixels");
  const threshold = otsu(list);
  assert.ok(threshold > 0.35 && threshold < 0.55, `${threshold}`);
  const marked = [...dataOf(found.logits)].map((x) => x > 0);
  assert.deepEqual(
    marked,
    list.map((v) => v > threshold),
  );
  assert.equal(marked.filter(Boolean).length, 30);
});

test("where nothing is similar to the sound, nothing is marked", async () => {
  const heat = constant(f32([-3, -2, -1, -5], [1, 4]));
  const { logits } = await evaluate({ logits: logitsOf(shownHeat(heat, undefined), undefined) }, {});
  assert.ok(dataOf(logits).every((x) => x < 0));
});
