import assert from "node:assert/strict";
import test, { after } from "node:test";
import { reference } from "../../test/reference.js";
import { assertClose } from "../../test/support.js";
import { emitOnnx, gradients, input, reshape, slice, type Value } from "../graph/index.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { asF32, f32, type Tensor } from "../tensor.js";
import { type LossWeights, lossOf } from "./losses.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());

/** Value and gradient of one loss with respect to all logits; S4 takes the first of five frames. */
async function differentiate(
  logits: Tensor,
  target: Tensor,
  counts: Tensor,
  weights: LossWeights,
  firstOfFive = false,
) {
  const x = input("logits", logits.shape);
  const [frames = 0, k = 0, h = 0, w = 0] = logits.shape;
  let used: Value = x;
  if (firstOfFive) {
    const clips = reshape(x, [frames / 5, 5, k * h, w]);
    used = reshape(slice(clips, [{ axis: 1, start: 0, end: 1 }]), [frames / 5, k, h, w]);
  }
  const loss = lossOf(
    { logits: used },
    { target: input("target", target.shape, "u8"), counts: input("counts", counts.shape) },
    weights,
  );
  const [gradient] = gradients([{ y: loss.total }], [x]);
  assert.ok(gradient);
  const graph = emitOnnx({ loss: loss.total, gradient });
  const session = await runtime.createSession({ graph, weights: new Map() });
  const out = await session.run({ logits, target, counts });
  await session.close();
  assert.ok(out.loss && out.gradient);
  return { loss: asF32(out.loss, "loss").data, gradient: asF32(out.gradient, "gradient").data };
}

const bytes = (t: Tensor, shape: number[]): Tensor => ({
  dtype: "u8",
  shape,
  data: Uint8Array.from<number | bigint>(t.data, Number),
});

test("losses and their gradients agree with the reference", async () => {
  const ref = await reference("losses");
  const ones = (n: number) => f32(new Float32Array(n).fill(1), [n]);
  const binary = [
    ["s4_dice", "mask_first", { dice: 1 }],
    ["s4_focal", "mask_first", { focal: 1 }],
    ["ms3_dice", "mask_all", { dice: 1 }],
    ["ms3_bce", "mask_all", { bce: 1 }],
  ] as const;
  for (const [name, mask, weights] of binary) {
    const n = ref.tensor(mask).shape[0] ?? 0;
    const target = bytes(ref.tensor(mask), [n, 16, 16]);
    const found = await differentiate(ref.tensor("logits"), target, ones(n), weights, name.startsWith("s4"));
    assertClose(found.loss, ref.floats(name), 1e-5, name);
    assertClose(found.gradient, ref.floats(`grad_${name}`), 1e-5, `gradient of ${name}`);
  }
  const classes = bytes(ref.tensor("classes"), [10, 8, 8]);
  const found = await differentiate(ref.tensor("class_logits"), classes, ref.tensor("keep"), {
    crossEntropy: 1,
  });
  assertClose(found.loss, ref.floats("avss_ce"), 1e-5, "avss_ce");
  assertClose(found.gradient, ref.floats("grad_avss_ce"), 1e-5, "gradient of avss_ce");
});

test("losses add up by their weights and survive extreme logits", async () => {
  const logits = f32([1000, -1000, 3, -2], [1, 1, 2, 2]);
  const target: Tensor = { dtype: "u8", shape: [1, 2, 2], data: Uint8Array.of(0, 1, 1, 0) };
  const one = async (weights: LossWeights) =>
    (await differentiate(logits, target, f32([1], [1]), weights)).loss[0] ?? Number.NaN;
  const [dice, focal, bce] = [await one({ dice: 1 }), await one({ focal: 1 }), await one({ bce: 1 })];
  assertClose([bce], [(2000 + Math.log1p(Math.exp(-3)) + Math.log1p(Math.exp(-2))) / 4], 1e-6, "bce");
  const total = await one({ dice: 2, focal: 0.5, bce: 0.25 });
  assertClose([total], [2 * dice + 0.5 * focal + 0.25 * bce], 1e-6, "total");
  const truth = { target: input("y", [1, 2, 2], "u8"), counts: input("c", [1]) };
  assert.throws(
    () => lossOf({ logits: input("x", [1, 1, 2, 2]) }, truth, { mix: 1 }),
    /no outputs for the mix loss/,
  );
  assert.throws(() => lossOf({ logits: input("x", [1, 1, 2, 2]) }, truth, {}), /at least one/);
});
