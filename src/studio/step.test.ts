import assert from "node:assert/strict";
import test from "node:test";
import { maskOf } from "../segment/mask.js";
import { type ProbabilityMap, probabilitiesOf } from "../segment/probability-map.js";
import { labelsOf } from "./runs.js";
import { stepOf } from "./step.js";

/** A round object that moves along, at the resolution of the larger encoders. */
function movingDisc(second: number): ProbabilityMap {
  const side = 56;
  const center = 10 + (second % 36);
  const logits = Float32Array.from({ length: side * side }, (_, i) => {
    const distance = Math.hypot((i % side) - center, Math.floor(i / side) - 28);
    return 12 - distance;
  });
  return probabilitiesOf({ dtype: "f32", shape: [1, 1, side, side], data: logits }, 0);
}

test("a second of full HD is kept in 16 kB, and nothing larger is held by it", () => {
  const size = { width: 1920, height: 1080, classes: ["sounding object"] };
  for (let second = 0; second < 40; second++) {
    const probabilities = movingDisc(second);
    const mask = maskOf(probabilities, size);
    assert.ok(mask.labels.some((label) => label > 0));
    const step = stepOf({
      ...{ index: second, timeSeconds: second, kind: "predicted", peak: 1, silent: false },
      ...{ probabilities, mask },
    });
    const buffers = [step.mask.runs, ...step.map.planes.values()].map(({ buffer }) => buffer.byteLength);
    const bytes = buffers.reduce((sum, part) => sum + part, 0);
    assert.ok(bytes <= 16_384, `second ${second} is kept in ${bytes} bytes`);
    assert.deepEqual(labelsOf(step.mask.runs, mask.labels.length), mask.labels);
  }
});
