import assert from "node:assert/strict";
import test from "node:test";
import { seededInput, seededUniform } from "../../test/support.js";
import { seededWeights, tinyS4 } from "../../test/tiny-models.js";
import type { AvsDataset } from "../datasets/clip.js";
import { buildAvsModel } from "../models/avs-model.js";
import { WeightStore } from "../weights/weight-store.js";
import { compareExport } from "./compare-export.js";

const { frameCount, imageSize } = tinyS4;
const pixels = frameCount * imageSize * imageSize;

/** Clips of noise of which all have one name. */
function namesakes(count: number): AvsDataset {
  const entry = { id: "clip", category: "" };
  const steps = Array.from({ length: frameCount }, (_, i) => i);
  return {
    task: "s4",
    split: "test",
    classes: ["background", "sounding"],
    frameCount,
    entries: Array.from({ length: count }, () => entry),
    load: async (index) => ({
      ...entry,
      frames: {
        dtype: "u8",
        shape: [frameCount, imageSize, imageSize, 3],
        data: Uint8Array.from(seededUniform(`frames ${index}`, pixels * 3), (u) => (u + 1) * 127.5),
      },
      logMel: seededInput(`mel ${index}`, [frameCount, 1, 96, 64], 3),
      masks: { dtype: "u8", shape: [frameCount, imageSize, imageSize], data: new Uint8Array(pixels) },
      labeled: steps,
      frameMask: { dtype: "f32", shape: [frameCount], data: new Float32Array(frameCount).fill(1) },
    }),
  };
}

test("masks are compared clip by clip where a table repeats a name", async () => {
  const source = { model: buildAvsModel(tinyS4), store: WeightStore.of(seededWeights(tinyS4)), files: {} };
  const report = await compareExport({ source, precision: "fp32", dataset: namesakes(2) });
  assert.deepEqual([report.clips, report.pixels], [2, 2 * pixels]);
  assert.ok(report.flippedFraction < 1e-3, `${report.flippedFraction} of the pixels differ`);
});
