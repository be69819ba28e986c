import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference } from "../../test/reference.js";
import { seededInput } from "../../test/support.js";
import { gradients, type Value } from "../graph/index.js";
import { Pass, Scope, toTokens } from "../nn/index.js";
import type { Tensor } from "../tensor.js";
import { decoder, decoderSchema } from "./decoder.js";

const channels = [16, 32, 48, 64] as const;

for (const project of [false, true]) {
  for (const channel of [false, true]) {
    const file = `decoder${project ? "_project" : ""}${channel ? "_channel" : ""}`;
    for (const fused of [true, false]) {
      test(`${file}: logits and every gradient${fused ? "" : " in the plain form"}`, async () => {
        const ref = await reference(file);
        const scope = new Scope();
        const decode = decoder(scope, {
          dims: channels,
          classes: 3,
          ...decoderSchema.parse({ project, channel, convDim: 32 }),
        });
        const dLogits = seededInput(`${file}_dy`, [2, 3, 64, 64]);
        const feeds: Record<string, Tensor> = { dLogits };
        const wanted = new Map<string, Value>();
        const stages = channels.map((c, i) => {
          const side = 16 >> i;
          const take = (name: string, shape: number[]) => {
            const tensor = seededInput(`${file}_${name}`, shape);
            feeds[name] = tensor;
            const value = inputLike(name, tensor);
            wanted.set(`grad_${name}`, value);
            return value;
          };
          const visual = take(`visual${i}`, [2, c, side, side]);
          return { audio: take(`audio${i}`, [2, 1, c]), visual: toTokens(visual) };
        });
        const logits = decode(stages, new Pass({ fused }));
        for (const [key, value] of scope.values()) wanted.set(`grad:${key}`, value);
        assert.deepEqual(
          [...wanted.keys()].filter((k) => !k.includes("channel") || ref.keys.includes(k)).toSorted(),
          ref.keys.filter((k) => k.startsWith("grad")).toSorted(),
        );
        const names = [...wanted.keys()];
        const grads = gradients([{ y: logits, seed: inputLike("dLogits", dLogits) }], [...wanted.values()]);
        const outputs = Object.fromEntries(names.flatMap((name, i) => (grads[i] ? [[name, grads[i]]] : [])));
        const results = await evaluate({ logits, ...outputs }, feeds);
        for (const [key, result] of Object.entries(results)) {
          ref.assertClose(result, key, key === "logits" ? 1e-5 : 1e-4);
        }
      });
    }
  }
}
