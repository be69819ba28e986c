import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference } from "../../test/reference.js";
import { seededInput } from "../../test/support.js";
import { Pass, Scope } from "../nn/index.js";
import { type PvtName, pvtV2, pvtV2Config } from "./pvt-v2.js";
import { encodeFrames } from "./visual-encoder.js";

const cases: { variant: string; name: PvtName; count: number; side: number }[] = [
  { variant: "b0", name: "pvt-v2-b0", count: 2, side: 64 },
  { variant: "b2", name: "pvt-v2-b2", count: 1, side: 64 },
  { variant: "b5", name: "pvt-v2-b5", count: 1, side: 224 },
];

for (const { variant, name, count, side } of cases) {
  for (const fused of variant === "b5" ? [true] : [true, false]) {
    test(`${name} gives the reference stages${fused ? "" : " in the plain form"}`, async () => {
      const ref = await reference(`pvt_${variant}_${side}`);
      const frames = seededInput(`pvt_${variant}`, [count, 3, side, side], 2);
      const encoder = pvtV2(new Scope(), pvtV2Config(name));
      const stages = encodeFrames(encoder, inputLike("frames", frames), new Pass({ fused }));
      const outputs = Object.fromEntries(stages.map(({ tokens }, i) => [`stage${i + 1}`, tokens]));
      const out = await evaluate(outputs, { frames });
      for (const key of Object.keys(outputs)) ref.assertClose(out[key], key, 1e-5);
    });
  }
}
