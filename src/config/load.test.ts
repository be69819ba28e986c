import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { publishedConfig } from "../../test/published-configs.js";
import { root } from "../../test/support.js";
import { tempDir } from "../../test/temp-dir.js";
import { loadConfig } from "./load.js";
import { checkConfig } from "./validate.js";

test("the six published configurations equal the defaults", async () => {
  for (const task of ["s4", "ms3", "avss"] as const) {
    const files = await readdir(path.join(root, "config", task));
    for (const name of ["pvt2.yaml", "res50.yaml"]) {
      assert.ok(files.includes(name));
      const file = path.join(root, "config", task, name);
      const { config, workDir } = await loadConfig(file, { task });
      const { visual, audio } = config.model;
      const bare = { kind: visual.kind, weights: visual.weights };
      const defaults = checkConfig({
        value: {
          task,
          model: { visual: bare, audio: { weights: audio.weights } },
          data: { root: config.data.root },
        },
        where: () => file,
      });
      // PyTorch's default decay of AdamW, written out in the files.
      assert.equal(config.training.optimizer.weightDecay, 0.01);
      defaults.training.optimizer.weightDecay = 0.01;
      if (task === "ms3" && visual.kind === "pvt-v2-b5") defaults.data.testBatchSize = 1;
      assert.deepEqual(config, defaults);
      assert.equal(workDir, path.join("work_dir", task, path.basename(name, ".yaml")));
    }
  }
});

test("a missing file and a file of another task are refused", async () => {
  const file = path.join(root, "config", "s4", "pvt2.yaml");
  await assert.rejects(loadConfig(file, { task: "ms3" }), /task: expected ms3, found s4 \(.* line 4\)/);
  await assert.rejects(loadConfig("absent.yaml"), {
    name: "ConfigError",
    message: "absent.yaml: there is no such file",
  });
  await assert.rejects(loadConfig(root), /: it is a folder$/);
});

test("choosing the best epoch on val instead of test is a warning for training only", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "s4.py");
  await writeFile(file, publishedConfig("s4", "pvt2"));
  const { warnings, trainingWarnings } = await loadConfig(file);
  assert.deepEqual(warnings, []);
  assert.equal(trainingWarnings.length, 1);
  assert.match(
    trainingWarnings[0] ?? "",
    /s4\.py: the published recipe chooses .*--set training\.valSplit=test/,
  );
  const published = await loadConfig(file, { set: ["training.valSplit=test"] });
  assert.deepEqual(published.trainingWarnings, []);
});

test("a device is not read, and warnings of unknown keys are limited", async (t) => {
  await assert.rejects(loadConfig("/dev/zero"), /\/dev\/zero: expected a file, found a pipe or a device/);
  const dir = await tempDir(t);
  const file = path.join(dir, "many.py");
  await writeFile(file, Array.from({ length: 1000 }, (_, i) => `x${i} = 1\n`).join(""));
  const { warnings } = await loadConfig(file, { task: "s4" });
  assert.equal(warnings.length, 21);
  assert.match(warnings.at(-1) ?? "", /many\.py: 980 more warnings of this kind/);
  // Found by fuzzing: ten thousand keys take seconds.
  const large = path.join(dir, "large.yaml");
  await writeFile(large, Array.from({ length: 10_000 }, (_, i) => `x${i}: 1\n`).join(""));
  await assert.rejects(
    loadConfig(large),
    /large\.yaml: \d+ bytes, expected a configuration of 32768 at most/,
  );
});
