import assert from "node:assert/strict";
import path from "node:path";
import test, { after } from "node:test";
import { seededParameter } from "../../test/support.js";
import { tempDir } from "../../test/temp-dir.js";
import { modelFromConfig } from "../config/model-from-config.js";
import { checkConfig } from "../config/validate.js";
import { CheckpointError } from "../errors.js";
import { buildAvsModel } from "../models/avs-model.js";
import type { Tensor } from "../tensor.js";
import { startOfRun } from "../weights/checkpoint.js";
import { writeSafetensors } from "../weights/node/safetensors-file.js";
import { saveCheckpoint } from "./checkpoint.js";
import { startingWeights } from "./starting-weights.js";

const dir = await tempDir({ after });

const configOf = (task: string, training: object, weights: string | null = null) =>
  checkConfig({
    value: {
      task,
      model: {
        visual: {
          kind: "pvt-v2",
          weights,
          dims: [8, 8, 20, 32],
          depths: [1, 1, 1, 1],
          heads: [1, 2, 5, 8],
          mlpRatios: [2, 2, 2, 2],
          reductions: [8, 4, 2, 1],
        },
        audio: { widths: [4, 4, 4, 4, 4, 4], hidden: 8 },
        decoder: { convDim: 8, heads: 4 },
      },
      data: { imageSize: 32 },
      training,
    },
    where: () => "test",
  });
const modelOf = (config: ReturnType<typeof configOf>, classes?: string[]) =>
  buildAvsModel(modelFromConfig(config, classes));

/** Seeded tensors of the model's keys with a prefix, optionally without the prefix. */
function seeded(prefix: string, strip = false): Map<string, Tensor> {
  const specs = modelOf(configOf("s4", {})).specs.filter(({ key }) => key.startsWith(prefix));
  return new Map(
    specs.map(({ key, shape }) => [strip ? key.slice(prefix.length) : key, seededParameter(key, shape)]),
  );
}

test("without files everything is a function of the seed", async () => {
  const [a, b, c] = await Promise.all(
    [1, 1, 2].map((seed) => startingWeights(modelOf(configOf("s4", {})), configOf("s4", { seed }))),
  );
  const key = "bridger.Fusers.0.vis_out.weight";
  assert.deepEqual(a?.weights.get(key), b?.weights.get(key));
  assert.notDeepEqual(a?.weights.get(key), c?.weights.get(key));
  assert.deepEqual(a?.frozen, {});
});

test("a whole model to start from is also what its frozen encoders are recorded as", async () => {
  const init = path.join(dir, "whole.safetensors");
  await writeSafetensors(init, seeded(""));
  const config = configOf("s4", { init }, "absent-but-not-needed.pth");
  const { weights, frozen } = await startingWeights(modelOf(config), config);
  assert.deepEqual(weights.get("decoder.layer_1.weight"), seeded("").get("decoder.layer_1.weight"));
  assert.deepEqual(Object.keys(frozen), ["visual_encoder", "audio_encoder"]);
  assert.equal(frozen.visual_encoder?.file, init);
});

test("a checkpoint to start from brings its encoders, and a head of other classes starts anew", async () => {
  const encoder = path.join(dir, "pvt.safetensors");
  await writeSafetensors(encoder, seeded("visual_encoder.", true));
  const first = configOf("s4", {}, encoder);
  const { frozen } = await startingWeights(modelOf(first), first);
  const init = path.join(dir, "best.safetensors");
  const parameters = new Map([...seeded("bridger."), ...seeded("decoder.")]);
  await saveCheckpoint(init, {
    config: first,
    model: modelFromConfig(first),
    frozen,
    progress: startOfRun,
    parameters,
  });
  const config = configOf("avss", { init });
  const model = modelOf(config, ["background", "dog", "cat"]);
  const started = await startingWeights(model, config);
  assert.deepEqual(started.frozen, frozen);
  assert.deepEqual(
    started.weights.get("visual_encoder.norm1.weight"),
    seeded("visual_encoder.").get("visual_encoder.norm1.weight"),
  );
  assert.deepEqual(started.weights.get("decoder.layer_1.weight"), parameters.get("decoder.layer_1.weight"));
  assert.deepEqual(started.weights.get("decoder.mask_features.weight")?.shape, [3, 8, 3, 3]);
});

test("weights of another model are refused", async () => {
  const init = path.join(dir, "other.safetensors");
  await writeSafetensors(init, new Map([["decoder.layer_1.weight", seededParameter("x", [2, 2])]]));
  const config = configOf("s4", { init });
  await assert.rejects(startingWeights(modelOf(config), config), CheckpointError);
});
