import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference } from "../../test/reference.js";
import { seededInput } from "../../test/support.js";
import { Pass, Scope } from "../nn/index.js";
import { efficientNetLite, efficientNetLiteEncoder, efficientNetLiteSchema } from "./efficientnet-lite.js";
import { encodeFrames, inferVisual, resolveVisual, stageDims, visualSchema } from "./visual-encoder.js";

const named = (name: string) => efficientNetLiteSchema.parse(resolveVisual(name, {}).settings);

for (const size of ["lite0", "lite2"]) {
  for (const fused of [true, false]) {
    test(`EfficientNet-${size} gives the reference stages${fused ? "" : " in the plain form"}`, async () => {
      const ref = await reference(`${size}_96`);
      const frames = seededInput(size, [1, 3, 96, 96], 2);
      const encoder = efficientNetLite(new Scope(), named(`efficientnet-${size}`));
      const stages = encodeFrames(encoder, inputLike("frames", frames), new Pass({ fused }));
      const outputs = Object.fromEntries(stages.map(({ tokens }, i) => [`stage${i + 1}`, tokens]));
      const out = await evaluate(outputs, { frames });
      for (const key of Object.keys(outputs)) ref.assertClose(out[key], key, 1e-5);
    });
  }
}

test("the sizes have their published channels and numbers of tensors", () => {
  const published = [
    ["efficientnet-lite0", [24, 40, 112, 320], 296],
    ["efficientnet-lite1", [24, 40, 112, 320], 386],
    ["efficientnet-lite2", [24, 48, 120, 352], 386],
  ] as const;
  for (const [name, dims, tensors] of published) {
    const config = named(name);
    assert.deepEqual(stageDims(config), dims, name);
    const scope = new Scope();
    efficientNetLiteEncoder.build(scope, config);
    const whole = new Scope();
    efficientNetLiteEncoder.build(whole, { ...config, classifier: true });
    assert.equal(whole.specs().length, tensors, name);
    const head = whole.specs().slice(scope.specs().length);
    assert.deepEqual(
      head.map(({ key }) => key),
      [
        "_conv_head.weight",
        ...["weight", "bias", "running_mean", "running_var", "num_batches_tracked"].map((k) => `_bn1.${k}`),
        ...["_fc.weight", "_fc.bias"],
      ],
    );
  }
});

test("the size is recognized from the shapes of a checkpoint", () => {
  for (const name of [
    "efficientnet-lite0",
    "efficientnet-lite1",
    "efficientnet-lite2",
    "efficientnet-lite4",
  ]) {
    const config = named(name);
    const scope = new Scope();
    efficientNetLite(scope, config);
    const shapes = new Map(scope.specs().map(({ key, shape }) => [key, shape]));
    const inferred = inferVisual({
      file: "x.pth",
      has: (key) => shapes.has(key),
      shape: (key) => shapes.get(key),
      size: (key, axis = 0) => shapes.get(key)?.[axis] ?? assert.fail(key),
    });
    assert.deepEqual(inferred, visualSchema.parse(config), name);
  }
});

test("a configuration names a size or gives its own", () => {
  assert.deepEqual(resolveVisual("efficientnet-lite1", { width: 2 }).refused, ["width"]);
  const own = efficientNetLiteSchema.parse(resolveVisual("efficientnet-lite", { width: 0.25 }).settings);
  assert.deepEqual(stageDims(own), [8, 16, 32, 80]);
});
