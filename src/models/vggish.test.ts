import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference } from "../../test/reference.js";
import { seededInput } from "../../test/support.js";
import { Scope } from "../nn/index.js";
import { vggish, vggishSchema } from "./vggish.js";

test("VGGish gives the reference features and embedding", async () => {
  const ref = await reference("vggish");
  const logMel = seededInput("vggish", [2, 1, 96, 64], 3);
  const model = vggish(new Scope(), vggishSchema.parse({}));
  const x = inputLike("logMel", logMel);
  const out = await evaluate({ features: model.features(x), embedding: model.embed(x) }, { logMel });
  for (const key of ["features", "embedding"]) {
    ref.assertClose(out[key], key, 1e-5);
  }
});
