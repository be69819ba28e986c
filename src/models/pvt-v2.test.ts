import test from "node:test";
import { evaluate, golden, inputLike } from "../../test/graphs.js";
import { assertClose, seededInput } from "../../test/support.js";
import { Pass, Scope } from "../nn/index.js";
import { type PvtName, pvtV2, pvtV2Config } from "./pvt-v2.js";
import { encodeFrames } from "./visual-encoder.js";

const cases: { file: string; name: PvtName; b5?: true | undefined }[] = [
  { file: "pvt_b0_64", name: "pvt-v2-b0" },
  { file: "pvt_b2_64", name: "pvt-v2-b2" },
  { file: "pvt_b5_224", name: "pvt-v2-b5", b5: true },
];

for (const { file, name, b5 } of cases) {
  for (const fused of b5 ? [true] : [true, false]) {
    test(`${name} gives the reference stages${fused ? "" : " in the plain form"}`, async (t) => {
      const ref = await golden(file);
      if (ref === undefined) return t.skip("reference numbers absent");
      const frames = b5 ? seededInput("pvt_b5", [1, 3, 224, 224], 2) : ref.tensor("frames");
      const encoder = pvtV2(new Scope(), pvtV2Config(name));
      const stages = encodeFrames(encoder, inputLike("frames", frames), new Pass({ fused }));
      const outputs = Object.fromEntries(stages.map(({ tokens }, i) => [`stage${i + 1}`, tokens]));
      const out = await evaluate(outputs, { frames });
      for (const key of Object.keys(outputs)) {
        assertClose(out[key]?.data as Float32Array, ref.tensor(key).data, 1e-5, key);
      }
    });
  }
}
