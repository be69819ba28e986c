import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, golden, inputLike } from "../../test/graphs.js";
import { assertClose } from "../../test/support.js";
import { gradients, type Value } from "../graph/index.js";
import { Pass, Scope, toTokens } from "../nn/index.js";
import type { Tensor } from "../tensor.js";
import { decoder } from "./decoder.js";

for (const project of [false, true]) {
  for (const channel of [false, true]) {
    const file = `decoder${project ? "_project" : ""}${channel ? "_channel" : ""}`;
    for (const fused of [true, false]) {
      test(`${file}: logits and every gradient${fused ? "" : " in the plain form"}`, async (t) => {
        const ref = await golden(file);
        if (ref === undefined) return t.skip("reference numbers absent");
        const scope = new Scope();
        const decode = decoder(scope, [16, 32, 48, 64], 3, {
          project,
          channel,
          convDim: 32,
          heads: 8,
          reductions: [8, 4, 2, 1],
          dropout: 0.1,
          positionEncoding: false,
        });
        const feeds: Record<string, Tensor> = { d_logits: ref.tensor("d_logits") };
        const wanted = new Map<string, Value>();
        const stages = [0, 1, 2, 3].map((i) => {
          const take = (name: string) => {
            const tensor = ref.tensor(name);
            feeds[name] = tensor;
            const value = inputLike(name, tensor);
            wanted.set(`grad_${name}`, value);
            return value;
          };
          return { audio: take(`audio${i}`), visual: toTokens(take(`visual${i}`)) };
        });
        const logits = decode(stages, new Pass({ fused }));
        for (const [key, value] of scope.values()) wanted.set(`grad:${key}`, value);
        assert.deepEqual(
          [...wanted.keys()].filter((k) => !k.includes("channel") || ref.has(k)).toSorted(),
          [...new Set([...ref.keys.filter((k) => k.startsWith("grad"))])].toSorted(),
        );
        const names = [...wanted.keys()];
        const grads = gradients(
          [{ y: logits, seed: inputLike("d_logits", ref.tensor("d_logits")) }],
          [...wanted.values()],
        );
        const outputs = Object.fromEntries(names.flatMap((name, i) => (grads[i] ? [[name, grads[i]]] : [])));
        const results = await evaluate({ logits, ...outputs }, feeds);
        for (const [key, { data }] of Object.entries(results)) {
          assertClose(data as Float32Array, ref.tensor(key).data, key === "logits" ? 1e-5 : 1e-4, key);
        }
      });
    }
  }
}
