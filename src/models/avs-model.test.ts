import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { evaluate, golden, inputLike } from "../../test/graphs.js";
import { assertClose, goldenPath, seededInput } from "../../test/support.js";
import { masksOf } from "../inference/masks.js";
import { Pass } from "../nn/index.js";
import { asF32, type Tensor } from "../tensor.js";
import { loadSafetensors } from "../weights/node/safetensors-file.js";
import { buildAvsModel, countParameters } from "./avs-model.js";
import type { AvsModelConfig } from "./model-config.js";
import { publishedModel } from "./model-config.js";
import { pvtV2Config } from "./pvt-v2.js";
import type { ResNetConfig } from "./resnet50.js";

const resnet: ResNetConfig = { kind: "resnet50", freezeBatchNorm: false };
const seventyOne = Array.from({ length: 71 }, (_, i) => `class ${i}`);
const published: Record<string, AvsModelConfig> = {
  s4_pvt2: publishedModel({ task: "s4", visual: pvtV2Config("pvt-v2-b5") }),
  avss_pvt2: publishedModel({ task: "avss", visual: pvtV2Config("pvt-v2-b5"), classes: seventyOne }),
  s4_res50: publishedModel({ task: "s4", visual: resnet }),
  avss_res50: publishedModel({ task: "avss", visual: resnet, classes: seventyOne }),
};

interface Manifest {
  state_dict: Record<string, number[]>;
  parameters: Record<string, number>;
}

test("state dicts have the published keys, shapes and parameter counts", async (t) => {
  const file = goldenPath("manifests.json");
  if (file === undefined) return t.skip("reference manifests absent");
  const manifests: Record<string, Manifest> = JSON.parse(await readFile(file, "utf8"));
  for (const [name, config] of Object.entries(published)) {
    const { state_dict, parameters } = manifests[name] ?? assert.fail(name);
    const model = buildAvsModel(config);
    assert.deepEqual(Object.fromEntries(model.specs.map((s) => [s.key, [...s.shape]])), state_dict, name);
    const counts = countParameters(model);
    assert.deepEqual(
      {
        total: counts.total,
        trainable: counts.trainable,
        messenger_blocks: counts.messengerBlocks,
        decoder: counts.decoder,
        visual_encoder: counts.visualEncoder,
        audio_encoder: counts.audioEncoder,
      },
      parameters,
      name,
    );
  }
});

/** Logits of a whole model with seeded weights on the reference inputs. */
async function run(
  config: AvsModelConfig,
  feeds: Record<"frames" | "logMel", Tensor> & { frameMask?: Tensor },
) {
  const model = buildAvsModel(config);
  const logits = model.forward(
    {
      frames: inputLike("frames", feeds.frames),
      embedding: model.embedAudio(inputLike("logMel", feeds.logMel)),
      ...(feeds.frameMask === undefined ? {} : { frameMask: inputLike("frameMask", feeds.frameMask) }),
    },
    new Pass(),
  );
  const { logits: out } = await evaluate({ logits }, feeds);
  return out?.dtype === "f32" ? out : assert.fail("no logits");
}

for (const name of ["s4_pvt2", "s4_res50"] as const) {
  test(`${name}: logits of the whole model`, async (t) => {
    const ref = await golden(`model_${name}`);
    if (ref === undefined) return t.skip("reference numbers absent");
    const logits = await run(published[name] as AvsModelConfig, {
      frames: seededInput("s4_frames", [5, 3, 224, 224], 2),
      logMel: seededInput("s4_log_mel", [5, 1, 96, 64], 3),
    });
    assertClose(logits.data, ref.tensor("logits").data, 1e-4, "logits");
  });
}

test("avss_pvt2: logits and classes of the whole model, padded frames left out", async (t) => {
  const file = goldenPath("model_avss_pvt2.safetensors");
  if (file === undefined) return t.skip("reference numbers absent");
  const { tensors } = await loadSafetensors(file);
  const get = (key: string): Tensor => tensors.get(key) ?? assert.fail(key);
  const logits = await run(published.avss_pvt2 as AvsModelConfig, {
    frames: seededInput("avss_frames", [10, 3, 224, 224], 2),
    logMel: seededInput("avss_log_mel", [10, 1, 96, 64], 3),
    frameMask: get("keep"),
  });
  const every8th = new Float32Array(10 * 71 * 28 * 28);
  for (let plane = 0, k = 0; plane < 710; plane++) {
    for (let y = 0; y < 224; y += 8) {
      for (let x = 0; x < 224; x += 8) every8th[k++] = logits.data[(plane * 224 + y) * 224 + x] as number;
    }
  }
  const expected = asF32(get("logits_every_8th"), "logits_every_8th").data;
  assertClose(every8th, expected, 1e-4, "logits");

  // Classes: any pixel may differ only where its two logits are as good as equal.
  const within = 2e-4 * expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const truth = get("argmax").data;
  const pixels = 224 * 224;
  const { masks } = masksOf(logits);
  let different = 0;
  for (let frame = 0; frame < 10; frame++) {
    const planes = logits.data.subarray(frame * 71 * pixels, (frame + 1) * 71 * pixels);
    for (const [i, found] of masks.data.subarray(frame * pixels, (frame + 1) * pixels).entries()) {
      const wanted = Number(truth[frame * pixels + i]);
      if (found === wanted) continue;
      different++;
      const gap = (planes[found * pixels + i] ?? 0) - (planes[wanted * pixels + i] ?? 0);
      assert.ok(gap <= within, `frame ${frame}, pixel ${i}: class ${found}, expected ${wanted}, gap ${gap}`);
    }
  }
  t.diagnostic(`${different} of ${10 * pixels} pixels have another class`);
  assert.ok(different <= 50, `${different} pixels have another class`);
});
