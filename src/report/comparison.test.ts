import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { referencePath } from "../../test/reference.js";
import { tempDir } from "../../test/temp-dir.js";
import { openDataset } from "../datasets/avsbench/open-dataset.js";
import type { Split } from "../datasets/clip.js";
import { timed } from "../evaluation/cost.js";
import type { Predictor } from "../inference/predictor.js";
import { f32 } from "../tensor.js";
import { compareEvaluations, comparisonReport } from "./comparison.js";
import { renderReport } from "./render-report.js";
import { runEvaluation } from "./run-evaluation.js";
import { readEvaluations } from "./stored-evaluation.js";

const side = 32;

/** Marks pixels greener than a threshold. */
function greenerThan(threshold: number): Predictor {
  return {
    ...{ frameCount: 5, imageSize: side, maskSize: side, classes: ["sounding"], clipsPerRun: 1 },
    predict: async ({ frames }) => {
      const data = Float32Array.from(
        { length: frames.data.length / 3 },
        (_, i) => (frames.data[3 * i + 1] ?? 0) - threshold,
      );
      return f32(data, [frames.shape[0] ?? 0, 1, side, side]);
    },
    close: async () => {},
  };
}

async function evaluated(outDir: string, threshold: number, split: Split = "test"): Promise<string> {
  const dataset = await openDataset({ task: "s4", root: referencePath("minibench"), split, imageSize: side });
  const { predictor, secondsPerClip } = timed(greenerThan(threshold));
  await runEvaluation(predictor, dataset, {
    ...{ batchSize: 4, workers: 0, context: {}, outDir, sounds: ["own", "silence"] },
    cost: () => ({
      ...{ parameters: 1.5e6, flopsPerClip: 2e9, peakMemoryBytes: 3e8 },
      secondsPerClip: secondsPerClip(),
    }),
  });
  return outDir;
}

test("evaluations side by side: both protocols, robustness, cost and the clips that are hardest for all", async (t) => {
  const dir = await tempDir(t);
  const [a, b] = [await evaluated(path.join(dir, "a"), 100), await evaluated(path.join(dir, "b"), 150)];
  const evaluations = await readEvaluations([a, path.join(b, "evaluation.json")]);
  const comparison = compareEvaluations(evaluations, 2);
  assert.deepEqual(
    comparison.models.map(({ name }) => name),
    ["a", "b"],
  );
  for (const { sounds, cost } of comparison.models) {
    assert.deepEqual(
      sounds.map(({ sound }) => sound),
      ["own", "silence"],
    );
    assert.ok(cost?.secondsPerClip !== null && cost !== undefined && cost.secondsPerClip > 0);
  }
  const means = evaluations[0]?.clips.map(({ id, miou }) => {
    const other = evaluations[1]?.clips.find((clip) => clip.id === id);
    return miou + (other?.miou ?? Number.NaN);
  });
  const [worst] = comparison.worstClips;
  assert.ok(worst && means);
  assert.equal(
    Object.values(worst.miou).reduce((x, y) => x + y),
    Math.min(...means),
  );
  const page = renderReport(comparisonReport(comparison, { environment: [] }));
  for (const text of [
    "2 models on S4",
    "Both protocols",
    "Robustness",
    "Silence",
    "1.5 M",
    "2.0 G",
    "0.30 GB",
    worst.id,
  ]) {
    assert.ok(page.includes(text), text);
  }
});

test("what cannot be compared is refused", async (t) => {
  const dir = await tempDir(t);
  const a = await evaluated(path.join(dir, "a"), 100);
  const other = await evaluated(path.join(dir, "b"), 100, "val");
  const refused = (places: string[], message: RegExp) =>
    assert.rejects(readEvaluations(places), { name: "DatasetError", message });
  await refused(
    [a, other],
    /expected an evaluation like that of a \(s4, split test, own sound\), found s4, split val/,
  );
  await refused([path.join(dir, "none")], /cannot read .*none/);
  const file = path.join(other, "evaluation.json");
  const text = await readFile(file, "utf8");
  await writeFile(file, text.slice(0, 50));
  await refused([other], /found text that is not JSON/);
  await writeFile(file, text.replace('"summary"', '"sums"'));
  await refused([other], /"summary" is missing or wrong/);
});
