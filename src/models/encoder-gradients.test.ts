import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { seededInput, seededParameter } from "../../test/support.js";
import { add, gradients, mul, sum, tanh, type Value } from "../graph/index.js";
import { batchNorm, Pass, Scope } from "../nn/index.js";
import type { Tensor, TensorOf } from "../tensor.js";
import { pvtV2, pvtV2Config } from "./pvt-v2.js";
import { vggish } from "./vggish.js";
import { encodeFrames } from "./visual-encoder.js";

/** An encoder: the values that the loss is made of, in training mode without random draws. */
interface Case {
  readonly input: TensorOf<"f32">;
  readonly build: (scope: Scope, x: Value, pass: Pass) => readonly Value[];
  /** Step of the central difference: small enough for kinks and curvature, large enough for float32. */
  readonly epsilon: number;
}

const visual = pvtV2Config("pvt-v2-b0", { dims: [16, 32, 40, 64], depths: [1, 1, 1, 1], dropPath: 0 });
const cases: Record<string, Case> = {
  PVTv2: {
    input: seededInput("frames", [2, 3, 64, 64], 2),
    build: (scope, x, pass) => encodeFrames(pvtV2(scope, visual), x, pass).map((g) => g.tokens),
    epsilon: 3e-3,
  },
  "PVTv2 with adapters": {
    input: seededInput("frames", [2, 3, 64, 64], 2),
    build: (scope, x, pass) =>
      encodeFrames(pvtV2(scope, { ...visual, loraRank: 4 }), x, pass).map((g) => g.tokens),
    epsilon: 3e-3,
  },
  // A whole ResNet in this mode hardly changes along random directions: see src/training/resnet.test.ts.
  "batch norm with batch statistics": {
    input: seededInput("map", [3, 4, 5, 6], 2),
    build: (scope, x, pass) => [tanh(batchNorm(scope, 4).apply(x, pass))],
    epsilon: 3e-3,
  },
  VGGish: {
    input: seededInput("mel", [2, 1, 96, 64], 3),
    build: (scope, x) => [vggish(scope, { widths: [4, 4, 8, 8, 8, 8], hidden: 16, pca: false }).embed(x)],
    epsilon: 3e-5,
  },
};

for (const [name, { input, build, epsilon }] of Object.entries(cases)) {
  test(`${name}: unfrozen, every kind of parameter gets the gradient of its directional difference`, async () => {
    const scope = new Scope();
    const outputs = build(scope, inputLike("x", input), new Pass({ training: true }));
    const loss = outputs
      .map((y, i) => sum(mul(y, inputLike(`seed${i}`, seededInput(`seed${i}`, y.shape)))))
      .reduce((a, b) => add(a, b));
    const feeds: Record<string, Tensor> = { x: input };
    outputs.forEach((y, i) => {
      feeds[`seed${i}`] = seededInput(`seed${i}`, y.shape);
    });
    const parameters = [...scope.values()].filter(([key]) => !key.includes("running_"));
    const gs = gradients(
      [{ y: loss }],
      parameters.map(([, v]) => v),
    );
    const weights = new Map([...scope.values()].map(([key, v]) => [key, seededParameter(key, v.shape)]));
    const found = await evaluate(Object.fromEntries(gs.map((g, i) => [`g${i}`, g])), feeds, weights);

    // Parameters in groups of a kind, so that one group's error cannot hide behind another's size.
    const kinds = new Map<string, { key: string; i: number }[]>();
    for (const [i, [key]] of parameters.entries()) {
      const kind = key.replace(/\d+/g, "*");
      kinds.set(kind, [...(kinds.get(kind) ?? []), { key, i }]);
    }
    for (const [kind, members] of kinds) {
      let expected = 0;
      let size = 0;
      const moved = (sign: number) => {
        const copy = new Map<string, TensorOf<"f32">>(weights);
        for (const { key } of members) {
          const w = weights.get(key) ?? assert.fail(key);
          const d = seededInput(`direction:${key}`, w.shape).data;
          copy.set(key, { ...w, data: w.data.map((v, k) => v + sign * epsilon * (d[k] ?? 0)) });
        }
        return copy;
      };
      for (const { key, i } of members) {
        const g = found[`g${i}`]?.data as Float32Array;
        const d = seededInput(`direction:${key}`, weights.get(key)?.shape ?? []).data;
        g.forEach((v, k) => {
          expected += v * (d[k] ?? 0);
          size += (v * (d[k] ?? 0)) ** 2;
        });
      }
      const at = async (sign: number) =>
        ((await evaluate({ loss }, feeds, moved(sign))).loss?.data[0] as number) / (2 * epsilon);
      const difference = (await at(1)) - (await at(-1));
      const error = Math.abs(difference - expected) / (Math.sqrt(size) + 1e-3);
      assert.ok(error < 0.1, `${kind}: gradient along the direction ${expected}, difference ${difference}`);
    }
  });
}
