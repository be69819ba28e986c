import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { root } from "../../test/support.js";
import { ConfigError } from "../errors.js";
import { checkConfig } from "./check.js";
import { loadConfig } from "./load.node.js";

test("the six published configurations say nothing but the defaults", async () => {
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

test("a file of another task, or none, is refused", async () => {
  const file = path.join(root, "config", "s4", "pvt2.yaml");
  await assert.rejects(loadConfig(file, { task: "ms3" }), /task: expected ms3, found s4 \(.* line 4\)/);
  await assert.rejects(loadConfig("absent.yaml"), ConfigError);
});
