import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference, referencePath } from "../../test/reference.js";
import { seededInput } from "../../test/support.js";
import {
  tinyAvsegformer,
  tinyAvss,
  tinyResNet,
  tinyS4,
  tinySelm,
  tinyTpavi,
} from "../../test/tiny-models.js";
import { topologicalOrder } from "../graph/index.js";
import { masksOf } from "../inference/masks.js";
import { Pass } from "../nn/index.js";
import type { Tensor } from "../tensor.js";
import { buildAvsModel, countParameters } from "./avs-model.js";
import { forwardOf } from "./forward.js";
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

test("state dicts have the published keys, shapes and parameter counts", async () => {
  const file = referencePath("manifests.json");
  const manifests: Record<string, Manifest> = JSON.parse(await readFile(file, "utf8"));
  for (const [name, config] of Object.entries(published)) {
    const { state_dict, parameters } = manifests[name] ?? assert.fail(name);
    const model = buildAvsModel(config);
    assert.deepEqual(Object.fromEntries(model.specs.map((s) => [s.key, [...s.shape]])), state_dict, name);
    const counts = countParameters(model);
    const { messenger_blocks = 0, decoder = 0 } = parameters;
    const { total, trainable: head, visual_encoder: visualEncoder, audio_encoder: audioEncoder } = parameters;
    assert.deepEqual(counts, { total, head, visualEncoder, audioEncoder }, name);
    assert.equal(counts.head, messenger_blocks + decoder, name);
  }
});

/** Logits of a whole model with seeded weights on the reference inputs. */
async function run(
  config: AvsModelConfig,
  feeds: Record<"frames" | "logMel", Tensor> & { frameMask?: Tensor },
) {
  const model = buildAvsModel(config);
  const { logits } = model.forward(
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
  test(`${name}: logits of the whole model`, async () => {
    const ref = await reference(`model_${name}`);
    const logits = await run(published[name] as AvsModelConfig, {
      frames: seededInput("s4_frames", [5, 3, 224, 224], 2),
      logMel: seededInput("s4_log_mel", [5, 1, 96, 64], 3),
    });
    ref.assertClose(logits, "logits", 1e-4);
  });
}

test("avss_pvt2: logits and classes of the whole model, padded frames left out", async (t) => {
  const ref = await reference("model_avss_pvt2");
  const logits = await run(published.avss_pvt2 as AvsModelConfig, {
    frames: seededInput("avss_frames", [10, 3, 224, 224], 2),
    logMel: seededInput("avss_log_mel", [10, 1, 96, 64], 3),
    frameMask: ref.tensor("keep"),
  });
  ref.assertClose(logits, "logits", 1e-4);

  // Classes: any pixel may differ only where its two logits are as good as equal.
  const within = 2e-4 * logits.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const pixels = 224 * 224;
  const { masks } = masksOf(logits);
  const logitOf = (pixel: number, k: number) => {
    const frame = Math.floor(pixel / pixels);
    return logits.data[(frame * 71 + k) * pixels + (pixel % pixels)] ?? 0;
  };
  const own = ref.sample(masks, "classes");
  const stride = ref.stride("classes");
  let different = 0;
  for (const [i, expected] of ref.tensor("classes").data.entries()) {
    const [found, wanted] = [own[i] ?? 0, Number(expected)];
    if (found === wanted) continue;
    different++;
    const gap = logitOf(i * stride, found) - logitOf(i * stride, wanted);
    assert.ok(gap <= within, `pixel ${i * stride}: class ${found}, expected ${wanted}, gap ${gap}`);
  }
  t.diagnostic(`${different} of ${own.length} pixels have another class`);
  assert.ok(different <= 5, `${different} pixels have another class`);
});

test("a parameter is marked as unused exactly where the published formulas do not reach it", () => {
  const all: Record<string, AvsModelConfig> = {
    ...{ tinyS4, tinyAvss, tinyResNet },
    ...{ tinyTpavi, tinyAvsegformer, tinySelm },
  };
  for (const [name, config] of Object.entries(all)) {
    const model = buildAvsModel(config);
    const { logits } = forwardOf(model, { pass: new Pass({ fused: false }) });
    const reached = new Set(
      topologicalOrder([logits]).flatMap((node) => (node.op === "parameter" ? node.outputs : [])),
    );
    const parameters = model.specs.filter(({ kind }) => kind === "parameter");
    assert.deepEqual(
      parameters.flatMap(({ key, unused }) => (unused ? [key] : [])),
      parameters.flatMap(({ key }) => (reached.has(model.values.get(key) ?? assert.fail()) ? [] : [key])),
      name,
    );
  }
});
