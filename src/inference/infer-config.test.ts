import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { referencePath } from "../../test/reference.js";
import { CheckpointError } from "../errors.js";
import { buildAvsModel } from "../models/avs-model.js";
import { avsegformerSchema } from "../models/avsegformer/avsegformer.js";
import type { AvsModelConfig, Task } from "../models/model-config.js";
import { publishedModel } from "../models/model-config.js";
import { pvtV2Config } from "../models/pvt-v2.js";
import { selmSchema } from "../models/selm/selm.js";
import { tpaviSchema } from "../models/tpavi/tpavi.js";
import { inferModelConfig } from "./infer-config.js";

const visual = pvtV2Config("pvt-v2-b1");
const resnet = { kind: "resnet50", freezeBatchNorm: false } as const;
const numbered = (count: number) => Array.from({ length: count }, (_, i) => `class ${i}`);

function shapesOf(config: AvsModelConfig, without = /^$/) {
  const { specs } = buildAvsModel(config);
  return new Map(specs.filter(({ key }) => !without.test(key)).map(({ key, shape }) => [key, shape]));
}

function base(task: Task) {
  const avss = task === "avss";
  return {
    task,
    classes: avss ? numbered(12) : ["sounding object"],
    frameCount: avss ? 10 : 5,
    imageSize: 224,
  };
}

const models: Record<string, AvsModelConfig> = {
  "this system": publishedModel({ task: "s4", visual }),
  "this system, AVSS with ResNet-50": publishedModel({ ...base("avss"), visual: resnet }),
  TPAVI: tpaviSchema.parse({ kind: "tpavi", ...base("s4"), visual }),
  "TPAVI, AVSS with ResNet-50, some stages": tpaviSchema.parse({
    kind: "tpavi",
    ...base("avss"),
    visual: resnet,
    tpavi: { stages: [1, 2, 3], channels: 64 },
  }),
  AVSegFormer: avsegformerSchema.parse({ kind: "avsegformer", ...base("s4"), imageSize: 512, visual }),
  "AVSegFormer, AVSS with ResNet-50": avsegformerSchema.parse({
    kind: "avsegformer",
    ...base("avss"),
    visual: resnet,
    avsegformer: { queries: 20, encoderLayers: 2, decoderLayers: 3, points: 2, hidden: 64, headHidden: 128 },
  }),
  "AVSegFormer of the first version": avsegformerSchema.parse({
    kind: "avsegformer",
    ...base("avss"),
    visual,
    avsegformer: { generatorLayers: 0 },
  }),
  "SelM, S4": selmSchema.parse({ kind: "selm", ...base("s4"), imageSize: 448, visual }),
  "SelM, MS3": selmSchema.parse({
    kind: "selm",
    ...base("ms3"),
    imageSize: 448,
    visual,
    selm: { enlargements: 2 },
  }),
  "SelM, S4 with ResNet-50": selmSchema.parse({
    kind: "selm",
    ...base("s4"),
    visual: resnet,
    selm: { enlargements: 2 },
  }),
  "SelM, MS3 with ResNet-50": selmSchema.parse({
    kind: "selm",
    ...base("ms3"),
    imageSize: 448,
    visual: resnet,
  }),
  "SelM, AVSS": selmSchema.parse({
    kind: "selm",
    ...base("avss"),
    visual,
    selm: { enlargements: 2, width: 64 },
  }),
};

for (const [name, config] of Object.entries(models)) {
  test(`the configuration of a published checkpoint: ${name}`, () => {
    const found = inferModelConfig(shapesOf(config), "x.pth");
    assert.deepEqual(found, config);
  });
}

test("TPAVI's checkpoints have no audio encoder: it is the published VGGish", () => {
  const config = models.TPAVI ?? assert.fail();
  assert.deepEqual(inferModelConfig(shapesOf(config, /^vggish\./), "x.pth"), config);
});

test("hints replace what shapes do not reveal", () => {
  const shapes = shapesOf(models.AVSegFormer ?? assert.fail());
  const found = inferModelConfig(shapes, "x.pth", { task: "ms3", imageSize: 224, frameCount: 10 });
  assert.deepEqual([found.task, found.imageSize, found.frameCount], ["ms3", 224, 10]);
  assert.throws(() => inferModelConfig(shapes, "x.pth", { classes: ["a", "b"] }), {
    name: "CheckpointError",
    message: "x.pth: it has 1 logits, but 2 classes are named",
  });
});

test("a checkpoint without its visual encoder is refused", () => {
  const shapes = shapesOf(models.TPAVI ?? assert.fail(), /^encoder_backbone/);
  assert.throws(() => inferModelConfig(shapes, "x.pth"), CheckpointError);
});

test("71 classes are those of AVSBench, unless a hint names others", async () => {
  const classes = numbered(71);
  const shapes = shapesOf(publishedModel({ ...base("avss"), classes, visual }));
  const listed: Record<string, number> = JSON.parse(
    await readFile(referencePath("minibench", "AVSS", "label2idx.json"), "utf8"),
  );
  const inferred = inferModelConfig(shapes, "x.pth").classes;
  assert.deepEqual(Object.fromEntries(inferred.map((name, i) => [name, i])), listed);
  assert.deepEqual(inferModelConfig(shapes, "x.pth", { classes }).classes, classes);
});
