/** Gradients of unfrozen encoders in training mode, against PyTorch's in float64 (tools/reference/unfrozen.py). */
import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference } from "../../test/reference.js";
import { seededInput } from "../../test/support.js";
import { gradients, tanh, type Value } from "../graph/index.js";
import { batchNorm, Pass, Scope } from "../nn/index.js";
import type { Tensor, TensorOf } from "../tensor.js";
import { pvtV2, pvtV2Config } from "./pvt-v2.js";
import { vggish } from "./vggish.js";
import { encodeFrames } from "./visual-encoder.js";

/** An encoder: the values that the loss is made of, in training mode without random draws. */
interface Case {
  /** Name of the reference. */
  readonly file: string;
  readonly input: TensorOf<"f32">;
  readonly build: (scope: Scope, x: Value, pass: Pass) => readonly Value[];
}

const visual = pvtV2Config("pvt-v2-b0", { dims: [16, 32, 40, 64], depths: [1, 1, 1, 1], dropPath: 0 });
const cases: Record<string, Case> = {
  PVTv2: {
    file: "unfrozen_pvt",
    input: seededInput("frames", [2, 3, 64, 64], 2),
    build: (scope, x, pass) => encodeFrames(pvtV2(scope, visual), x, pass).map((g) => g.tokens),
  },
  "PVTv2 with adapters": {
    file: "unfrozen_pvt_adapters",
    input: seededInput("frames", [2, 3, 64, 64], 2),
    build: (scope, x, pass) =>
      encodeFrames(pvtV2(scope, { ...visual, loraRank: 4 }), x, pass).map((g) => g.tokens),
  },
  "batch norm with batch statistics": {
    file: "unfrozen_batch_norm",
    input: seededInput("map", [3, 4, 5, 6], 2),
    build: (scope, x, pass) => [tanh(batchNorm(scope, 4).apply(x, pass))],
  },
  VGGish: {
    file: "unfrozen_vggish",
    input: seededInput("mel", [2, 1, 96, 64], 3),
    build: (scope, x) => [
      vggish(scope, { kind: "vggish", widths: [4, 4, 8, 8, 8, 8], hidden: 16, pca: false }).embed(x),
    ],
  },
};

for (const [name, { file, input, build }] of Object.entries(cases)) {
  for (const fused of [true, false]) {
    test(`${name}${fused ? "" : " in the plain form"}: the gradient of every parameter`, async () => {
      const ref = await reference(file);
      const scope = new Scope();
      const outputs = build(scope, inputLike("x", input), new Pass({ training: true, fused }));
      const seeds = outputs.map((y, i) => seededInput(`seed${i}`, y.shape));
      const parameters = [...scope.values()].filter(([key]) => !key.startsWith("running_"));
      const slopes = gradients(
        outputs.map((y, i) => ({ y, seed: inputLike(`seed${i}`, seeds[i] ?? assert.fail(`no seed ${i}`)) })),
        parameters.map(([, value]) => value),
      );
      const feeds: Record<string, Tensor> = {
        x: input,
        ...Object.fromEntries(seeds.map((seed, i) => [`seed${i}`, seed])),
      };
      const found = await evaluate(
        Object.fromEntries(slopes.map((slope, i) => [`grad:${parameters[i]?.[0]}`, slope])),
        feeds,
      );
      assert.deepEqual(Object.keys(found).toSorted(), ref.keys.toSorted());
      for (const [key, slope] of Object.entries(found)) ref.assertClose(slope, key, 1e-4);
    });
  }
}
