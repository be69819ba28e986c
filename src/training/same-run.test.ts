import assert from "node:assert/strict";
import test from "node:test";
import { checkConfig } from "../config/validate.js";
import { requireSameRun } from "./same-run.js";

const config = (training: object, data: object = {}) =>
  checkConfig({ value: { task: "s4", training, data }, where: () => "test" });

test("a run may be extended or moved, but not changed", () => {
  requireSameRun(
    config({ epochs: 3 }),
    config({ epochs: 9, checkpointEverySteps: 2 }, { workers: 1, root: "x", audioCache: false }),
    "f",
  );
  assert.throws(
    () => requireSameRun(config({ seed: 1 }), config({ seed: 2 }), "last.safetensors"),
    /training\.seed: expected 1 as in last\.safetensors, found 2/,
  );
  assert.throws(
    () => requireSameRun(config({}), config({}, { batchSize: 8 }), "f"),
    /data\.batchSize: expected 4/,
  );
  assert.throws(
    () => requireSameRun(config({}), config({ optimizer: { weightDecay: 0.1 } }), "f"),
    /training\.optimizer\.weightDecay: expected nothing/,
  );
});
