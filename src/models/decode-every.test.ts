import test, { after } from "node:test";
import { assertClose, seededInput, seededParameter } from "../../test/support.js";
import { emitOnnx, gradients, input, mul, slice, sum, type Value } from "../graph/index.js";
import { Pass } from "../nn/index.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { asF32 } from "../tensor.js";
import { buildAvsModel } from "./avs-model.js";
import { publishedModel } from "./model-config.js";
import { pvtV2Config } from "./pvt-v2.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());

test("decoding the first frames only gives their logits, and the same gradients", async () => {
  const base = publishedModel({
    task: "s4",
    visual: pvtV2Config("pvt-v2-b0", { depths: [1, 1, 1, 1], dropPath: 0 }),
  });
  const model = buildAvsModel({
    ...base,
    imageSize: 32,
    messenger: { ...base.messenger, dropout: 0 },
    decoder: { ...base.decoder, convDim: 16, dropout: 0 },
  });
  const inputs = { frames: input("frames", [10, 3, 32, 32]), embedding: input("embedding", [10, 128]) };
  const key = "bridger.Fusers.2.vis_out.weight";
  const weight = model.values.get(key) as Value;
  const upstream = input("upstream", [2, 1, 32, 32]);
  const build = (logits: Value) => {
    const [gradient] = gradients([{ y: sum(mul(logits, upstream)) }], [weight]);
    return { logits, gradient: gradient as Value };
  };
  const { logits: all } = model.forward(inputs, new Pass({ training: true }));
  const picked = build(slice(all, [{ axis: 0, start: 0, end: 10, step: 5 }]));
  const direct = build(model.forward({ ...inputs, decodeEvery: 5 }, new Pass({ training: true })).logits);
  const weights = new Map(model.specs.map((spec) => [spec.key, seededParameter(spec.key, spec.shape)]));
  const feeds = {
    frames: seededInput("frames", [10, 3, 32, 32]),
    embedding: seededInput("embedding", [10, 128]),
    upstream: seededInput("upstream", [2, 1, 32, 32]),
  };
  const [expected, found] = await Promise.all(
    [picked, direct].map(async (outputs) => {
      const session = await runtime.createSession({ graph: emitOnnx(outputs), weights });
      return session.run(feeds);
    }),
  );
  for (const name of ["logits", "gradient"] as const) {
    const [a, b] = [found?.[name], expected?.[name]];
    if (!a || !b) throw new Error(name);
    assertClose(asF32(a, name).data, asF32(b, name).data, 1e-4, name);
  }
});
