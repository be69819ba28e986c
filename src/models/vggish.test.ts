import test from "node:test";
import { evaluate, golden, inputLike } from "../../test/graphs.js";
import { assertClose } from "../../test/support.js";
import { Scope } from "../nn/index.js";
import { vggish, vggishSchema } from "./vggish.js";

test("VGGish gives the reference features and embedding", async (t) => {
  const ref = await golden("vggish");
  if (ref === undefined) return t.skip("reference numbers absent");
  const logMel = ref.tensor("log_mel");
  const model = vggish(new Scope(), vggishSchema.parse({}));
  const x = inputLike("logMel", logMel);
  const out = await evaluate({ features: model.features(x), embedding: model.embed(x) }, { logMel });
  for (const key of ["features", "embedding"]) {
    assertClose(out[key]?.data as Float32Array, ref.tensor(key).data, 1e-5, key);
  }
});
