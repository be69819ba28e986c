import test from "node:test";
import { evaluate, golden, inputLike } from "../../test/graphs.js";
import { assertClose } from "../../test/support.js";
import { Pass, Scope } from "../nn/index.js";
import { resnet50 } from "./resnet50.js";
import { encodeFrames } from "./visual-encoder.js";

for (const fused of [true, false]) {
  test(`ResNet-50 gives the reference stages${fused ? "" : " in the plain form"}`, async (t) => {
    const ref = await golden("res50_96");
    if (ref === undefined) return t.skip("reference numbers absent");
    const frames = ref.tensor("frames");
    const encoder = resnet50(new Scope(), { kind: "resnet50", freezeBatchNorm: false });
    const stages = encodeFrames(encoder, inputLike("frames", frames), new Pass({ fused }));
    const outputs = Object.fromEntries(stages.map(({ tokens }, i) => [`stage${i + 1}`, tokens]));
    const out = await evaluate(outputs, { frames });
    for (const key of Object.keys(outputs)) {
      assertClose(out[key]?.data as Float32Array, ref.tensor(key).data, 1e-5, key);
    }
  });
}
