import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference } from "../../test/reference.js";
import { seededInput } from "../../test/support.js";
import { Pass, Scope } from "../nn/index.js";
import { resnet50 } from "./resnet50.js";
import { encodeFrames } from "./visual-encoder.js";

for (const fused of [true, false]) {
  test(`ResNet-50 gives the reference stages${fused ? "" : " in the plain form"}`, async () => {
    const ref = await reference("res50_96");
    const frames = seededInput("res50", [1, 3, 96, 96], 2);
    const encoder = resnet50(new Scope(), { kind: "resnet50", freezeBatchNorm: false });
    const stages = encodeFrames(encoder, inputLike("frames", frames), new Pass({ fused }));
    const outputs = Object.fromEntries(stages.map(({ tokens }, i) => [`stage${i + 1}`, tokens]));
    const out = await evaluate(outputs, { frames });
    for (const key of Object.keys(outputs)) ref.assertClose(out[key], key, 1e-5);
  });
}
