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

test("cells get names from the encoder's classifier, too", async () => {
  const tokens = seededInput("tokens", [1, 2, 5]);
  const logits = seededInput("logits", [1, 2, 1000], 3);
  const cellsWith = async (classes: Record<string, string>) => {
    const settings = conceptsSchema.parse({ names, classes });
    const classify = () => inputLike("logits", logits);
    const name = concepts(new Scope(), settings, { width: 8, channels: 5, classify });
    const grid = { tokens: inputLike("tokens", tokens), height: 1, width: 2 };
    const { outputs } = name(inputLike("embedding", seededInput("embedding", [1, 8])), grid, new Pass());
    const { cells } = await evaluate({ cells: outputs.cells }, { tokens, ...(classes.dog && { logits }) });
    return asF32(cells!, "cells").data; // [1,4,1,2]
  };
  const [plain, named] = [await cellsWith({}), await cellsWith({ dog: "151-268, 273", car: "817" })];
  const difference = Float32Array.from(named, (x, i) => x - plain[i]!);
  const expected = (cell: number) => {
    const probabilities = softmax([...logits.data.slice(1000 * cell, 1000 * cell + 1000)].map((x) => x / 2));
    const dogs = [...probabilities.slice(151, 269), probabilities[273]!].reduce((a, b) => a + b);
    const levels = [dogs + 1e-4, 0.02, probabilities[817]! + 1e-4, 0.02];
    return levels.map(Math.log);
  };
  const [first, second] = [expected(0), expected(1)];
  assertClose(
    difference,
    first.flatMap((x, k) => [x, second[k]!]),
    1e-4,
    "levels",
  );
});

test("classes need a known name, numbers of classes, and an encoder that has a classifier", () => {
  for (const text of ["1000", "7-3", "dogs", ""]) {
    assert.equal(conceptsSchema.safeParse({ names, classes: { dog: text } }).success, false, text);
  }
  const notSection = conceptsSchema.safeParse({ names, classes: "dog" });
  assert.match(notSection.error?.issues[0]?.message ?? "", /a section of names/);
  const problem = (classes: Record<string, string>) =>
    modelConfigProblem({ ...base, messenger: beside, concepts: conceptsSchema.parse({ names, classes }) });
  assert.match(problem({ cat: "281" })?.message ?? "", /cat is not among/);
  assert.match(problem({ dog: "151-268" })?.message ?? "", /no classifier/);
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
