import assert from "node:assert/strict";
import test from "node:test";
import { CheckpointError } from "../errors.js";
import { modelConfigFromJson, modelConfigToJson, publishedModel } from "../models/model-config.js";
import { pvtV2Config } from "../models/pvt-v2.js";
import { withImageSize } from "./model-image-size.js";

test("a checkpoint's model takes frames of another size, and all else stays", () => {
  const model = publishedModel({ task: "s4", visual: pvtV2Config("pvt-v2-b0") });
  const metadata = { format: "avseg-checkpoint-1", model: modelConfigToJson(model), config: "{}" };
  const changed = withImageSize(metadata, 384, "best.safetensors");
  const { model: json = "", ...rest } = changed;
  assert.deepEqual(modelConfigFromJson(json, "changed"), { ...model, imageSize: 384 });
  assert.deepEqual(rest, { format: metadata.format, config: metadata.config });
});

test("files that do not describe a model, and impossible sizes, are refused", () => {
  assert.throws(
    () => withImageSize({}, 384, "S4_pvt.pth"),
    (error: unknown) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(error.message, /^S4_pvt.pth: it does not describe its model/);
      return true;
    },
  );
  const decoder = { ...publishedModel({ task: "s4", visual: pvtV2Config("pvt-v2-b0") }).decoder };
  const model = publishedModel({
    task: "s4",
    visual: pvtV2Config("pvt-v2-b0"),
    decoder: { ...decoder, reductions: [16, 8, 4, 2] },
  });
  const metadata = { format: "avseg-checkpoint-1", model: modelConfigToJson(model) };
  assert.throws(() => withImageSize(metadata, 32, "best.safetensors"), /frames of 32 pixels/);
});
