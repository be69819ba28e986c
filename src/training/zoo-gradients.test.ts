/** A training step of small models of other published systems against PyTorch's: losses, gradients, statistics. */
import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { assertClose, relativeError, seededInput, seededUniform } from "../../test/support.js";
import { zooReference } from "../../test/zoo.js";
import { gradients, type Value } from "../graph/index.js";
import { buildAvsModel } from "../models/avs-model.js";
import { avsModelSchema } from "../models/model-config.js";
import { pvtV2Config } from "../models/pvt-v2.js";
import { Pass } from "../nn/index.js";
import { asF32, type Tensor } from "../tensor.js";
import { type LossWeights, lossOf } from "./losses.js";

/** A small model, and its published losses with their weights. */
interface Family {
  readonly config: (avss: boolean, name: string) => unknown;
  readonly main: { readonly binary: LossWeights; readonly semantic: LossWeights };
  readonly auxiliary: LossWeights;
}

const side = 64;
const base = (avss: boolean) => ({
  task: avss ? "avss" : "ms3",
  classes: avss ? ["background", "dog", "piano"] : ["sounding object"],
  frameCount: avss ? 10 : 5,
  imageSize: side,
  visual: pvtV2Config("pvt-v2-b0", {
    dims: [16, 32, 40, 64],
    depths: [1, 1, 1, 1],
    mlpRatios: [4, 4, 4, 4],
    dropPath: 0,
  }),
});

const tpavi: Family = {
  config: (avss, name) => ({
    kind: "tpavi",
    ...base(avss),
    tpavi: { channels: 16, attendVisual: name === "ms3_vv" },
  }),
  main: { binary: { bce: 1 }, semantic: { crossEntropy: 1 } },
  auxiliary: { matching: 0.5 },
};

const avsegformer: Family = {
  config: (avss) => ({
    kind: "avsegformer",
    ...base(avss),
    avsegformer: {
      ...{ generatorLayers: 2, encoderLayers: 2, decoderLayers: 2 },
      ...{ width: 32, generatorHidden: 16, hidden: 24, headHidden: 20 },
      ...{ heads: 4, queries: 6, points: 2, groups: 4, dropout: 0 },
    },
  }),
  main: { binary: { dice: 1 }, semantic: { crossEntropy: 1 } },
  auxiliary: { mix: 0.1 },
};

const flags = (n: number, ones: number): Tensor => ({
  dtype: "f32",
  shape: [n],
  data: Float32Array.from({ length: n }, (_, i) => (i < ones ? 1 : 0)),
});

/** Frames of a case, which of them are real, and which have ground truth. */
interface Sizes {
  readonly frames: string;
  readonly n: number;
  readonly real: number;
  readonly labeled: number;
}

const five: Sizes = { frames: "frames", n: 5, real: 5, labeled: 5 };
const ten: Sizes = { frames: "frames", n: 10, real: 7, labeled: 5 };
const two: Sizes = { frames: "frames5", n: 2, real: 2, labeled: 2 };
const three: Sizes = { frames: "frames5", n: 3, real: 2, labeled: 1 };
const cases = [
  { family: "tpavi", name: "ms3", system: tpavi, sizes: five },
  { family: "tpavi", name: "ms3_vv", system: tpavi, sizes: five },
  { family: "tpavi", name: "avss", system: tpavi, sizes: ten },
  { family: "avsegformer", name: "ms3", system: avsegformer, sizes: two },
  { family: "avsegformer", name: "avss", system: avsegformer, sizes: three },
];
for (const { family, name, system, sizes } of cases) {
  test(`${family} ${name}: losses, gradients and running statistics of a step`, async (t) => {
    const reference = await zooReference(`${family}_gradients`);
    const avss = name === "avss";
    const { n } = sizes;
    const u = seededUniform("input:target", n * side * side);
    const target = Uint8Array.from(u, (v) => (avss ? Math.trunc((v + 1) * 1.5) : v > 0.3 ? 1 : 0));
    const embedding = seededInput("embedding", [n, 128]);
    const feeds = {
      frames: seededInput(sizes.frames, [n, 3, side, side], 2),
      embedding: { ...embedding, data: embedding.data.map((v) => v + 1) },
      frameMask: flags(n, sizes.real),
      counts: flags(n, sizes.labeled),
      target: { dtype: "u8", shape: [n, side, side], data: target },
    } as const;
    const pass = new Pass({ training: true });
    const inputs = {
      frames: inputLike("frames", feeds.frames),
      embedding: inputLike("embedding", feeds.embedding),
      frameMask: inputLike("frameMask", feeds.frameMask),
    };
    const truth = { target: inputLike("target", feeds.target), counts: inputLike("counts", feeds.counts) };
    const model = buildAvsModel(avsModelSchema.parse(system.config(avss, name)));
    const weights = { ...(avss ? system.main.semantic : system.main.binary), ...system.auxiliary };
    const loss = lossOf(model.forward(inputs, pass), truth, weights);

    const start = `${name}:grad:`;
    const keys = reference
      .keys(name)
      .flatMap((key) => (key.startsWith(start) ? [key.slice(start.length)] : []));
    const trained = [...model.values].filter(([key]) => keys.includes(key));
    assert.equal(trained.length, keys.length);
    const wanted: Record<string, Value> = Object.fromEntries(loss.parts);
    const slopes = gradients(
      [{ y: loss.total }],
      trained.map(([, value]) => value),
    );
    slopes.forEach((g, i) => {
      wanted[`grad:${trained[i]?.[0]}`] = g;
    });
    for (const [key, value] of pass.updates) wanted[`after:${key}`] = value;
    const found = await evaluate(wanted, feeds);
    const of = (key: string) => asF32(found[key] ?? assert.fail(key), key).data;
    const expected = (key: string) => asF32(reference.tensor(`${name}:${key}`), key).data;

    const losses = [...loss.parts.keys()].flatMap((part) => [...of(part)]);
    assertClose(losses, expected("losses"), 1e-5, "losses");
    let worst = 0;
    for (const key of keys) {
      const gradient = of(`grad:${key}`);
      const norm = Math.hypot(...gradient);
      if ((expected(`norm:${key}`)[0] ?? 0) < 1e-9) {
        // A bias in front of a batch norm: its gradient is zero but for rounding.
        assert.ok(norm < 1e-4, `${key}: norm ${norm}, expected 0`);
        continue;
      }
      assertClose([norm], expected(`norm:${key}`), 1e-4, `norm of ${key}`);
      const step = Math.ceil(gradient.length / 64);
      const error = relativeError(
        gradient.filter((_, i) => i % step === 0),
        expected(`grad:${key}`),
      );
      assert.ok(error <= 1e-4, `${key}: relative error ${error}`);
      worst = Math.max(worst, error);
    }
    const statistics = reference.keys(`${name}:after`);
    const updated = [...pass.updates.keys()];
    assert.deepEqual(updated.map((key) => `${name}:after:${key}`).sort(), statistics.sort());
    for (const key of updated) assertClose(of(`after:${key}`), expected(`after:${key}`), 1e-5, key);
    t.diagnostic(`${keys.length} gradients, largest difference ${worst}`);
  });
}
