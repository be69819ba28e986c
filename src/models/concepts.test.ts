import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { assertClose, seededInput } from "../../test/support.js";
import { Pass, Scope } from "../nn/index.js";
import { asF32 } from "../tensor.js";
import { buildAvsModel } from "./avs-model.js";
import { concepts, conceptsSchema } from "./concepts.js";
import { modelConfigProblem, publishedModel } from "./model-config.js";
import { pvtV2Config } from "./pvt-v2.js";

const names = ["dog", "owl", "car"];
const softmax = (x: readonly number[]) => {
  const powers = x.map(Math.exp);
  const total = powers.reduce((a, b) => a + b);
  return powers.map((p) => p / total);
};

test("a cell agrees with the sound as far as both have the same name", async () => {
  const embedding = seededInput("embedding", [2, 8]);
  const tokens = seededInput("tokens", [2, 6, 5]);
  const name = concepts(new Scope(), conceptsSchema.parse({ names }), { width: 8, channels: 5 });
  const grid = { tokens: inputLike("tokens", tokens), height: 2, width: 3 };
  const { outputs, agreement } = name(inputLike("embedding", embedding), grid, new Pass());
  const found = await evaluate({ ...outputs, agreement }, { embedding, tokens });
  const [sound, cells, levels] = ["sound", "cells", "agreement"].map((key) => asF32(found[key]!, key).data);
  assert.deepEqual(found.cells?.shape, [2, 4, 2, 3]);
  for (const n of [0, 1]) {
    const heard = softmax([...sound!.slice(3 * n, 3 * n + 3)]);
    const expected = Array.from({ length: 6 }, (_, cell) => {
      const seen = softmax([0, 1, 2, 3].map((k) => cells![n * 24 + k * 6 + cell]!));
      return Math.log(heard.reduce((sum, p, k) => sum + p * seen[k]!, 0) + 1e-4);
    });
    const best = Math.max(...expected);
    const level = expected.map((x) => (x - best) / 2);
    assertClose(levels!.slice(6 * n, 6 * n + 6), level, 1e-5, "agreement");
  }
});

const base = publishedModel({
  task: "s4",
  visual: pvtV2Config("pvt-v2-b0", { dims: [16, 32, 40, 64], depths: [1, 1, 1, 1], dropPath: 0 }),
});
const beside = { ...base.messenger, between: false };

test("blocks beside the encoder leave its stages as they are", async () => {
  const model = buildAvsModel({
    ...base,
    imageSize: 32,
    messenger: { ...beside, dropout: 0 },
    decoder: { ...base.decoder, convDim: 16, dropout: 0 },
    concepts: conceptsSchema.parse({ names, dropout: 0 }),
  });
  const feeds = {
    frames: seededInput("frames", [5, 3, 32, 32]),
    embedding: seededInput("embedding", [5, 128]),
    other: seededInput("other", [5, 128]),
  };
  const frames = inputLike("frames", feeds.frames);
  const [first, second] = ["embedding" as const, "other" as const].map((key) =>
    model.forward({ frames, embedding: inputLike(key, feeds[key]) }, new Pass({ training: true })),
  );
  const outputs = {
    a: first!.concepts!.cells,
    b: second!.concepts!.cells,
    c: first!.logits,
    d: second!.logits,
  };
  const { a, b, c, d } = await evaluate(outputs, feeds);
  assert.deepEqual(a, b);
  assert.notDeepEqual(c, d);
});

test("concepts need blocks beside the encoder", () => {
  const concept = conceptsSchema.parse({ names });
  assert.equal(modelConfigProblem({ ...base, messenger: beside, concepts: concept }), undefined);
  const problem = modelConfigProblem({ ...base, concepts: concept });
  assert.equal(problem?.path.join("."), "messenger.between");
});
