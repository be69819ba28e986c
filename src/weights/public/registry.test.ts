import assert from "node:assert/strict";
import test from "node:test";
import { buildAvsModel } from "../../models/avs-model.js";
import { type PvtName, pvtSizes, pvtV2, pvtV2Config } from "../../models/pvt-v2.js";
import { avsModelSchema } from "../../models/systems.js";
import { Scope } from "../../nn/scope.js";
import { sizeOf } from "../../tensor.js";
import { PUBLISHED_MODELS } from "./models.js";
import type { PublishedModel } from "./public-weights.js";
import { publishedWeights } from "./registry.js";

test("every size of PVTv2 has the tensors by which its file is recognized, and no other size has them", () => {
  const names = Object.keys(pvtSizes) as PvtName[];
  const shapes = names.map((name) => {
    const scope = new Scope();
    pvtV2(scope, pvtV2Config(name));
    return scope.specs().map(({ shape }) => shape.join());
  });
  assert.equal(names.length, 6);
  for (const [i, name] of names.entries()) {
    const { marks } = publishedWeights(name.replaceAll("-", "_"));
    assert.ok(marks);
    const counts = shapes.map((all) => all.filter((shape) => shape === marks.shape.join()).length);
    assert.deepEqual(
      counts.map((count) => count === marks.count),
      names.map((_, j) => j === i),
      `${name}: ${counts}`,
    );
  }
});

/** Bytes of the parameters that a published file of `model` holds. */
function bytesOf({ system, task, visual, needs }: PublishedModel): number {
  if (task === "zero-shot") throw new RangeError("not a model of AVSBench");
  const isPvt = visual === "pvt-v2-b5";
  const isLarge = system === "selm" && (task === "ms3" || (task === "s4" && isPvt));
  const { specs, encoders } = buildAvsModel(
    avsModelSchema.parse({
      kind: system,
      task,
      classes: Array.from({ length: task === "avss" ? 71 : 1 }, (_, i) => `class ${i}`),
      frameCount: task === "avss" ? 10 : 5,
      imageSize: isLarge ? 448 : 224,
      visual: isPvt ? pvtV2Config(visual) : { kind: "resnet50" },
      ...(system === "selm"
        ? { selm: { enlargements: task === "avss" || (task === "ms3") === isPvt ? 2 : 1 } }
        : {}),
      ...(system === "seavs" ? { decoder: { project: !isPvt } } : {}),
    }),
  );
  const isStored = ({ key }: { readonly key: string }) =>
    !(needs.includes("vggish") && key.startsWith(`${encoders.audio}.`));
  return specs.filter(isStored).reduce((bytes, { shape }) => bytes + 4 * sizeOf(shape), 0);
}

test("the sizes of public models are those of their parameters", () => {
  const ofAvsBench = [...PUBLISHED_MODELS.values()].filter(({ task }) => task !== "zero-shot");
  assert.equal(ofAvsBench.length, 24);
  for (const model of ofAvsBench) {
    const bytes = bytesOf(model);
    const error = Math.abs(model.approximateBytes / bytes - 1);
    assert.ok(error < 0.005, `${model.name}: ${model.approximateBytes} bytes, its parameters have ${bytes}`);
  }
});
