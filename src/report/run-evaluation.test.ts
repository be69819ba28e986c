import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { referencePath } from "../../test/reference.js";
import { logMelOf } from "../../test/support.js";
import { tempDir } from "../../test/temp-dir.js";
import { openDataset } from "../datasets/avsbench/open-dataset.js";
import { robustnessRows } from "../evaluation/robustness.js";
import type { ClipBatch, Predictor } from "../inference/predictor.js";
import { f32 } from "../tensor.js";
import { runEvaluation } from "./run-evaluation.js";

const side = 64;

/** Finds bright pixels, more of them the louder the sound. */
function brightness(frameCount: number, classes: readonly string[]): Predictor {
  return {
    frameCount,
    imageSize: side,
    maskSize: side,
    classes: classes.length > 2 ? classes : ["sounding"],
    clipsPerRun: 4,
    predict: async (batch: ClipBatch) => {
      const { frames, frameMask } = batch;
      const logMel = logMelOf(batch);
      const [steps = 0] = frames.shape;
      const pixels = side * side;
      const outputs = classes.length > 2 ? classes.length : 1;
      const logits = new Float32Array(steps * outputs * pixels);
      for (let t = 0; t < steps; t++) {
        const loud = logMel.data.subarray(t * 6144, (t + 1) * 6144).reduce((sum, v) => sum + v, 0) / 6144;
        for (let i = 0; i < pixels; i++) {
          const green = frames.data[(t * pixels + i) * 3 + 1] ?? 0;
          const at = (t * outputs + (outputs > 1 ? 3 : 0)) * pixels + i;
          logits[at] = ((green - 128) / 40 + loud / 4) * (frameMask.data[t] ?? 0);
        }
      }
      return f32(logits, [steps, outputs, side, side]);
    },
    close: async () => {},
  };
}

for (const [task, frameCount] of [
  ["s4", 5],
  ["ms3", 5],
  ["avss", 10],
] as const) {
  test(`${task}: a dataset on disk gives metrics, tables, masks and report`, async (t) => {
    const root = referencePath("minibench");
    const outDir = await tempDir(t);
    const dataset = await openDataset({ task, root, split: "test", imageSize: side });
    const predictor = brightness(frameCount, dataset.classes);
    const common = { batchSize: 4, workers: 1, context: { checkpoint: "fake" } };
    const { result, files } = await runEvaluation(predictor, dataset, {
      ...common,
      outDir,
      saveMasks: true,
      report: { title: "T <1>" },
    });
    assert.equal(result.clips.length, dataset.entries.length);
    assert.ok(result.summary.miou > 0 && result.summary.miou < 1);
    assert.deepEqual(
      (await readdir(outDir)).sort(),
      [...files.map((file) => path.basename(file)), "pred_masks"].sort(),
    );
    const masks = (await readdir(outDir, { recursive: true })).filter((file) => file.endsWith(".png"));
    assert.equal(masks.length, result.metrics.frames);
    const page = await readFile(path.join(outDir, "report.html"), "utf8");
    assert.match(page, /<h1>T &lt;1&gt;<\/h1>/);
    assert.ok(dataset.entries.every(({ id }) => page.includes(id)));

    const seeded = { ...common, sounds: ["swapped"], seed: 1 } as const;
    const swapped = await runEvaluation(predictor, dataset, {
      ...seeded,
      outDir: path.join(outDir, "swapped"),
    });
    assert.notDeepEqual(swapped.result.metrics, result.metrics);
    const again = await runEvaluation(predictor, dataset, {
      ...seeded,
      outDir: path.join(outDir, "swapped"),
    });
    assert.deepEqual(again.result, swapped.result);
  });
}

test("kinds of sound are evaluated one after the other, resumed, and compared in a table and a chart", async (t) => {
  const outDir = await tempDir(t);
  const dataset = await openDataset({
    task: "s4",
    root: referencePath("minibench"),
    split: "test",
    imageSize: side,
  });
  const sounds = ["own", "silence", "noise", "other-class"] as const;
  const stop = new AbortController();
  let runs = 0;
  const model = brightness(5, dataset.classes);
  const predictor: Predictor = {
    ...model,
    predict: (batch) => {
      runs++;
      return model.predict(batch);
    },
  };
  const options = { batchSize: 4, workers: 0, context: {}, outDir, sounds, report: {} };
  const clips = dataset.entries.length;
  const interrupted = runEvaluation(predictor, dataset, {
    ...options,
    signal: stop.signal,
    onProgress: ({ done, total }) => {
      assert.equal(total, 4 * clips);
      if (done === 2 * clips) stop.abort();
    },
  });
  await assert.rejects(interrupted, { name: "AbortError" });
  const before = runs;
  const resumed: string[] = [];
  const onResume = (count: number, sound: string) => resumed.push(`${count} ${sound}`);
  const { results } = await runEvaluation(predictor, dataset, { ...options, onResume });
  assert.deepEqual(resumed, [`${clips} own`, `${clips} silence`]);
  const shown = Math.min(6, clips); // clips that the report shows are predicted again
  assert.equal(runs - before, before + shown);

  const rows = robustnessRows(results);
  assert.deepEqual(
    rows.map(({ sound }) => sound),
    sounds,
  );
  const [own, silence, noise] = rows;
  assert.ok(own && silence && noise);
  assert.ok(silence.fpr < own.fpr && own.fpr < noise.fpr, "it marks more where it is louder");
  const files = await readdir(outDir);
  assert.ok(!files.some((name) => name.startsWith(".evaluation-state")), files.join());
  const table = (await readFile(path.join(outDir, "sounds.csv"), "utf8")).trimEnd().split("\n");
  assert.equal(table[0], "sound,miou,fscore,fpr,fprOutside,miouCorrected");
  assert.equal(table[2], `silence,${Object.values(silence).slice(1).join(",")}`);
  assert.ok((await readdir(path.join(outDir, "noise"))).includes("evaluation.json"));
  const page = await readFile(path.join(outDir, "report.html"), "utf8");
  assert.match(page, /Does it listen\?/);
  assert.match(page, /<h2>By sound<\/h2>/);
  for (const sound of sounds) {
    const alone = await runEvaluation(predictor, dataset, {
      ...options,
      outDir: path.join(outDir, `only-${sound}`),
      sounds: [sound],
    });
    assert.deepEqual(alone.result, results[sounds.indexOf(sound)]?.result);
  }
});

test("an output folder that cannot be made is found out before the model runs", async () => {
  const root = referencePath("minibench");
  const dataset = await openDataset({ task: "ms3", root, split: "test", imageSize: side });
  let runs = 0;
  const predictor: Predictor = {
    ...brightness(5, dataset.classes),
    predict: async () => {
      runs++;
      throw new Error("must not run");
    },
  };
  const outDir = path.join(root, "expected.json", "out");
  await assert.rejects(runEvaluation(predictor, dataset, { batchSize: 1, outDir, context: {} }), {
    name: "OutputError",
  });
  assert.equal(runs, 0);
});
