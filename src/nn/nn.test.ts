import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { assertClose, seededInput, seededParameter } from "../../test/support.js";
import { gradients, mul, parameter, sum, type Value } from "../graph/index.js";
import { sizeOf, type Tensor } from "../tensor.js";
import {
  attend,
  batchNorm,
  dropout,
  dropoutMask,
  dropPath,
  initialState,
  kaimingUniform,
  layerNorm,
  linear,
  multiHeadAttention,
  normalInit,
  Pass,
  patchLinear,
  randomFeeds,
  reduceTokens,
  Scope,
  toMap,
  toTokens,
  upsampledConv,
} from "./index.js";

const f32 = (t: Tensor | undefined): Float32Array => (t?.dtype === "f32" ? t.data : assert.fail("no f32"));

/** Asserts that a value and its gradients agree between the rewritten and the plain form. */
async function sameInBothForms(
  feeds: Record<string, Tensor>,
  build: (inputs: Record<string, Value>, pass: Pass) => { y: Value; wanted?: Value[] | undefined },
  tolerance = 1e-5,
): Promise<void> {
  const results = await Promise.all(
    [true, false].map(async (fused) => {
      const inputs = Object.fromEntries(Object.entries(feeds).map(([k, t]) => [k, inputLike(k, t)]));
      const { y, wanted = [] } = build(inputs, new Pass({ fused }));
      const weight = inputLike("seed", seededInput("seed", y.shape));
      const loss = sum(mul(y, weight));
      const gs = gradients([{ y: loss }], [...Object.values(inputs), ...wanted]);
      const outputs = { y, ...Object.fromEntries(gs.map((g, i) => [`g${i}`, g])) };
      return evaluate(outputs, { ...feeds, seed: seededInput("seed", y.shape) });
    }),
  );
  const [fast, plain] = results;
  for (const key of Object.keys(plain ?? {}))
    assertClose(f32(fast?.[key]), f32(plain?.[key]), tolerance, key);
}

test("scopes name parameters once, and refuse another shape", () => {
  const root = new Scope();
  const at = root.at("bridger").at("Fusers").at(0);
  const w = at.param("w", [2, 3], normalInit(1));
  assert.equal(root.at("bridger").at("Fusers").at(0).param("w", [2, 3], normalInit(1)), w);
  assert.throws(() => at.param("w", [3, 2], normalInit(1)), /both \[2,3\] and \[3,2\]/);
  assert.deepEqual(
    root.specs().map((s) => s.key),
    ["bridger.Fusers.0.w"],
  );
});

test("initial values depend on seed and key, and have the spread asked for", () => {
  const scope = new Scope();
  scope.param("a", [300, 301], normalInit(0.02));
  scope.param("b", [300, 301], normalInit(0.02));
  scope.param("c", [64, 100], kaimingUniform(100, Math.sqrt(5)));
  const state = initialState(scope.specs(), 1);
  const [a, b, c] = ["a", "b", "c"].map((k) => f32(state.get(k)));
  assert.deepEqual(initialState(scope.specs(), 1).get("a"), state.get("a"));
  assert.notDeepEqual(a, b);
  assert.notDeepEqual(f32(initialState(scope.specs(), 2).get("a")), a);
  const deviation = Math.sqrt([...(a ?? [])].reduce((s, v) => s + v * v, 0) / (300 * 301));
  assert.ok(Math.abs(deviation - 0.02) < 0.0003, `deviation ${deviation}`);
  const bound = Math.max(...(c ?? []).map(Math.abs));
  assert.ok(bound <= 0.1 && bound > 0.099, `bound ${bound}`);
});

test("dropout masks: rate, independence of neighbors, a function of seed and step", async () => {
  const [rows, columns, rate] = [500, 128, 0.1];
  const pass = new Pass({ training: true });
  const mask = dropoutMask({ path: "a.drop", rate }, [rows, columns], pass);
  const other = dropoutMask({ path: "a.drop", rate }, [rows, columns], pass);
  assert.ok(mask && other);
  assert.deepEqual(
    pass.sites.map((s) => s.name),
    ["a.drop", "a.drop#1"],
  );
  const draw = async (seed: number, step: number) => {
    const out = await evaluate({ mask, other }, randomFeeds(pass.sites, { seed, step }));
    return [f32(out.mask), f32(out.other)] as const;
  };
  const [first, second] = await draw(1, 0);
  assert.deepEqual((await draw(1, 0))[0], first);
  const n = rows * columns;
  const dropped = (m: Float32Array, i: number) => (m[i] === 0 ? 1 : 0);
  for (const m of [first, second]) {
    assert.deepEqual([...new Set(m)].sort(), [0, Math.fround(1 / (1 - rate))]);
  }
  const share = first.reduce((s, v) => s + (v === 0 ? 1 : 0), 0) / n;
  // Rows share their row's number, so the spread is a little above that of independent bits: 4 sigma.
  assert.ok(Math.abs(share - rate) < 4 * Math.sqrt((rate * (1 - rate)) / n), `share ${share}`);
  const together = (a: Float32Array, b: Float32Array, shift: number) => {
    let both = 0;
    for (let i = 0; i + shift < n; i++) both += dropped(a, i) * dropped(b, i + shift);
    return both / (n - shift);
  };
  const independent = rate * rate;
  const sigma = Math.sqrt((independent * (1 - independent)) / n);
  const [nextStep] = await draw(1, 1);
  const [nextSeed] = await draw(2, 0);
  for (const [what, value] of [
    ["neighbor in the row", together(first, first, 1)],
    ["neighbor in the column", together(first, first, columns)],
    ["other site", together(first, second, 0)],
    ["other step", together(first, nextStep, 0)],
    ["other seed", together(first, nextSeed, 0)],
  ] as const) {
    assert.ok(Math.abs(value - independent) < 5 * sigma, `${what}: ${value}, independent ${independent}`);
  }
});

test("nothing is dropped in evaluation; drop path drops whole samples", async () => {
  const x = seededInput("x", [64, 3, 4]);
  const v = inputLike("x", x);
  const scope = new Scope("net");
  const still = new Pass();
  assert.equal(dropout(scope, 0.5)(v, still), v);
  assert.equal(dropPath(scope, 0.5)(v, still), v);
  const pass = new Pass({ training: true });
  const y = dropPath(scope, 0.25)(v, pass);
  const out = await evaluate({ y }, { x, ...randomFeeds(pass.sites, { seed: 5, step: 9 }) });
  let gone = 0;
  for (let b = 0; b < 64; b++) {
    const sample = f32(out.y).subarray(b * 12, b * 12 + 12);
    const all = sample.every((s) => s === 0);
    if (all) gone++;
    else
      assertClose(
        sample,
        x.data.subarray(b * 12, b * 12 + 12).map((s) => s / 0.75),
        1e-6,
        `sample ${b}`,
      );
  }
  assert.ok(gone > 4 && gone < 30, `${gone} of 64 samples dropped`);
});

test("batch norm: batch statistics and running updates in training, running ones else", async () => {
  const x = seededInput("bn", [3, 4, 5, 6], 2);
  const scope = new Scope("bn");
  const norm = batchNorm(scope, 4);
  const training = new Pass({ training: true });
  const v = inputLike("x", x);
  const y = norm.apply(v, training);
  const updated = Object.fromEntries([...training.updates].map(([key, value]) => [`new ${key}`, value]));
  const out = await evaluate({ y, still: norm.apply(v, new Pass()), ...updated }, { x });
  const weight = (name: string) => seededParameter(`bn.${name}`, [4]).data;
  const n = 3 * 5 * 6;
  for (let c = 0; c < 4; c++) {
    const of = (data: ArrayLike<number>) =>
      Array.from({ length: n }, (_, i) => data[Math.floor(i / 30) * 120 + c * 30 + (i % 30)] as number);
    const values = of(x.data);
    const mean = values.reduce((a, b) => a + b, 0) / n;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
    const apply = (m: number, s: number) =>
      values.map(
        (u) => ((u - m) / Math.sqrt(s + 1e-5)) * (weight("weight")[c] ?? 0) + (weight("bias")[c] ?? 0),
      );
    const [runningMean = 0, runningVar = 0] = [weight("running_mean")[c], weight("running_var")[c]];
    assertClose(of(f32(out.y)), apply(mean, variance), 1e-5, "training");
    assertClose(of(f32(out.still)), apply(runningMean, runningVar), 1e-5, "evaluation");
    const updates = [f32(out["new bn.running_mean"])[c] ?? 0, f32(out["new bn.running_var"])[c] ?? 0];
    const expected = [0.9 * runningMean + 0.1 * mean, 0.9 * runningVar + (0.1 * variance * n) / (n - 1)];
    assertClose(updates, expected, 1e-5, "running statistics");
  }
});

test("enlarging and convolving at low resolution equals the plain form, borders included", async () => {
  for (const [height, width, classes, factor] of [
    [5, 7, 3, 4],
    [1, 2, 1, 2],
  ] as const) {
    const w = parameter("w", [classes, 8, 3, 3]);
    const b = parameter("b", [classes]);
    await sameInBothForms({ x: seededInput("up", [2, 8, height, width]) }, ({ x }, pass) => ({
      y: upsampledConv(x as Value, { weight: w, bias: b, factor }, pass),
      wanted: [w, b],
    }));
  }
});

test("a convolution whose kernel is its stride equals its product form, cut edges included", async () => {
  const w = parameter("w", [6, 4, 3, 3]);
  const b = parameter("b", [6]);
  await sameInBothForms({ x: seededInput("patch", [2, 7 * 10, 4]) }, ({ x }, pass) => ({
    y: patchLinear({ tokens: x as Value, height: 7, width: 10 }, { weight: w, bias: b, size: 3 }, pass),
    wanted: [w, b],
  }));
});

test("attention with few keys, few queries or one head equals the plain form", async () => {
  for (const [rows, keys, heads] of [
    [70, 5, 8],
    [5, 70, 8],
    [1, 70, 4],
    [9, 11, 1],
    [70, 1, 8],
  ] as const) {
    await sameInBothForms(
      {
        q: seededInput("q", [2, rows, 32]),
        k: seededInput("k", [2, keys, 32]),
        v: seededInput("v", [2, keys, 32]),
      },
      ({ q, k, v }, pass) => ({ y: attend({ q: q as Value, k: k as Value, v: v as Value, heads, pass }) }),
    );
  }
});

test("packed attention: one key is broadcast, two maps in a row become one", async () => {
  for (const keys of [1, 6]) {
    await sameInBothForms(
      { x: seededInput("x", [2, 9, 16]), source: seededInput("s", [2, keys, 16]) },
      ({ x, source }, pass) => {
        const scope = new Scope("attention");
        const attention = multiHeadAttention(scope.at("inner"), { width: 16, heads: 4, dropout: 0.1 });
        const before = linear(scope.at("kv"), 16, 32);
        const query = x as Value;
        return { y: mul(query, attention({ query, source: source as Value, before, pass })) };
      },
    );
  }
});

test("in training, attention drops weights and keeps their mean", async () => {
  const rows = 4000;
  for (const keys of [1, 3]) {
    const pass = new Pass({ training: true });
    const x = { ...seededInput("x", [1, rows, 8]) };
    const source = seededInput("s", [1, keys, 8]);
    const attention = multiHeadAttention(new Scope("a"), { width: 8, heads: 2, dropout: 0.5 });
    const call = { query: inputLike("x", x), source: inputLike("s", source) };
    const y = attention({ ...call, pass });
    const still = mul(
      attention({ ...call, pass: new Pass() }),
      inputLike("ones", { ...x, data: x.data.map(() => 1) }),
    );
    const feeds = { x, s: source, ones: { ...x, data: x.data.map(() => 1) } };
    const out = await evaluate({ y, still }, { ...feeds, ...randomFeeds(pass.sites, { seed: 3, step: 4 }) });
    const meanOf = (data: Float32Array) =>
      Array.from({ length: 8 }, (_, c) => {
        let total = 0;
        for (let r = 0; r < rows; r++) total += data[r * 8 + c] as number;
        return total / rows;
      });
    assert.notDeepEqual(f32(out.y), f32(out.still));
    assertClose(meanOf(f32(out.y)), meanOf(f32(out.still)), 0.1, `${keys} keys`);
  }
});

test("tokens and maps hold the same pixels; nearest reduction picks PyTorch's", async () => {
  const map = seededInput("map", [2, 3, 7, 9]);
  const grid = toTokens(inputLike("map", map));
  const norm = layerNorm(new Scope("n"), 3);
  const reduced = reduceTokens(grid, 2);
  assert.deepEqual(reduced.shape, [2, 12, 3]);
  const out = await evaluate({ back: toMap(grid), reduced, normed: norm(grid.tokens) }, { map });
  assert.deepEqual(f32(out.back), map.data);
  const pick = (b: number, c: number, y: number, x: number) =>
    map.data[((b * 3 + c) * 7 + y) * 9 + x] as number;
  const rows = [0, 2, 4]; // floor(i * 7 / 3)
  const columns = [0, 2, 4, 6]; // floor(i * 9 / 4)
  const expected = [0, 1].flatMap((b) =>
    rows.flatMap((y) => columns.flatMap((x) => [0, 1, 2].map((c) => pick(b, c, y, x)))),
  );
  assert.equal(expected.length, sizeOf(reduced.shape));
  assert.deepEqual([...f32(out.reduced)], expected);
});
