/** A training step of a small TPAVI against PyTorch's: losses, every gradient, new running statistics. */
import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { assertClose, relativeError, seededInput, seededUniform } from "../../test/support.js";
import { zooReference } from "../../test/zoo.js";
import { add, gradients, mul, type Value } from "../graph/index.js";
import { pvtV2Config } from "../models/pvt-v2.js";
import { buildTpavi, tpaviSchema } from "../models/tpavi.js";
import { Pass } from "../nn/index.js";
import { asF32, type Tensor } from "../tensor.js";
import { lossOf } from "./losses.js";
import { matchingLoss } from "./matching-loss.js";

const flags = (n: number, ones: number): Tensor => ({
  dtype: "f32",
  shape: [n],
  data: Float32Array.from({ length: n }, (_, i) => (i < ones ? 1 : 0)),
});

for (const name of ["ms3", "ms3_vv", "avss"] as const) {
  test(`${name}: losses, gradients and running statistics of a step`, async (t) => {
    const reference = await zooReference("tpavi_gradients");
    const avss = name === "avss";
    const n = avss ? 10 : 5;
    const u = seededUniform("input:target", n * 64 * 64);
    const target = Uint8Array.from(u, (v) => (avss ? Math.trunc((v + 1) * 1.5) : v > 0.3 ? 1 : 0));
    const embedding = seededInput("embedding", [n, 128]);
    const feeds = {
      frames: seededInput("frames", [n, 3, 64, 64], 2),
      embedding: { ...embedding, data: embedding.data.map((v) => v + 1) },
      keep: flags(n, 7),
      counts: flags(n, 5),
      target: { dtype: "u8", shape: [n, 64, 64], data: target },
    } as const;
    const model = buildTpavi(
      tpaviSchema.parse({
        kind: "tpavi",
        task: avss ? "avss" : "ms3",
        classes: avss ? ["background", "dog", "piano"] : ["sounding object"],
        frameCount: n,
        imageSize: 64,
        visual: pvtV2Config("pvt-v2-b0", {
          dims: [16, 32, 40, 64],
          depths: [1, 1, 1, 1],
          mlpRatios: [4, 4, 4, 4],
          dropPath: 0,
        }),
        channels: 16,
        attendVisual: name === "ms3_vv",
      }),
    );
    const pass = new Pass({ training: true });
    const outputs = model.outputs(
      {
        frames: inputLike("frames", feeds.frames),
        embedding: inputLike("embedding", feeds.embedding),
        frameMask: inputLike("keep", feeds.keep),
      },
      pass,
    );
    const counts = inputLike("counts", feeds.counts);
    const main = lossOf(
      outputs.logits,
      inputLike("target", feeds.target),
      counts,
      avss ? { crossEntropy: 1 } : { bce: 1 },
    );
    const match = matchingLoss(outputs, counts);
    const loss = add(main.total, mul(match, 0.5));

    const keys = reference
      .keys(name)
      .flatMap((key) => (key.startsWith(`${name}:grad:`) ? [key.slice(`${name}:grad:`.length)] : []));
    const trained = [...model.values].filter(([key]) => keys.includes(key));
    assert.equal(trained.length, keys.length);
    const wanted: Record<string, Value> = { main: main.total, match };
    gradients(
      [{ y: loss }],
      trained.map(([, value]) => value),
    ).forEach((g, i) => {
      wanted[`grad:${trained[i]?.[0]}`] = g;
    });
    for (const [key, value] of pass.updates) wanted[`after:${key}`] = value;
    const found = await evaluate(wanted, feeds);
    const of = (key: string) => asF32(found[key] ?? assert.fail(key), key).data;
    const expected = (key: string) => asF32(reference.tensor(`${name}:${key}`), key).data;

    assertClose([...of("main"), ...of("match")], expected("losses"), 1e-5, "losses");
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
      const thin = gradient.filter((_, i) => i % step === 0);
      const error = relativeError(thin, expected(`grad:${key}`));
      assert.ok(error <= 1e-4, `${key}: relative error ${error}`);
      worst = Math.max(worst, error);
    }
    const statistics = reference.keys(`${name}:after`);
    assert.deepEqual([...pass.updates.keys()].map((key) => `${name}:after:${key}`).sort(), statistics.sort());
    for (const key of pass.updates.keys())
      assertClose(of(`after:${key}`), expected(`after:${key}`), 1e-5, key);
    t.diagnostic(`${keys.length} gradients, largest difference ${worst}`);
  });
}
