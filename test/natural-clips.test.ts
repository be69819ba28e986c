/** The natural model on the composed test clips that come with it. */
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { openDataset } from "../src/datasets/avsbench/open-dataset.js";
import { evaluate } from "../src/evaluation/evaluate.js";
import { openPredictor } from "../src/inference/node/open-predictor.js";
import { runEvaluation } from "../src/report/run-evaluation.js";
import { NATURAL_CLIPS, NATURAL_MODEL } from "../src/segment/node/shipped-models.js";
import { refinedPredictor } from "../src/segment/refined-predictor.js";
import { tempDir } from "./temp-dir.js";

test("the natural model marks what sounds in its own clips, and less with swapped sounds", async (t) => {
  const model = await openPredictor({ checkpoint: NATURAL_MODEL.file, runtime: { threads: 1 } });
  t.after(() => model.close());
  const { imageSize, frameCount } = model;
  const common = { task: "s4", root: NATURAL_CLIPS, split: "test", waves: true } as const;
  const dataset = await openDataset({ ...common, imageSize, frameCount });
  assert.equal(dataset.entries.length, 6);
  const { results } = await runEvaluation(model, dataset, {
    batchSize: 2,
    outDir: path.join(await tempDir(t), "eval"),
    context: {},
    sounds: ["own", "swapped"],
  });
  const [own = 0, swapped = 1] = results.map(({ result }) => result.summary.miou);
  // 0.607 and 0.277 where they were measured.
  assert.ok(own > 0.54 && swapped < 0.3, `own sounds ${own}, swapped ones ${swapped}`);
  const { summary } = await evaluate(refinedPredictor(model), dataset, { batchSize: 2 });
  assert.ok(summary.miou > own, `refined ${summary.miou}, as predicted ${own}`);
});
