/**
 * PVTv2, a pyramid of vision transformers (Wang et al. 2022, "PVT v2: Improved baselines with pyramid
 * vision transformer", https://arxiv.org/abs/2106.13797). State-dict keys as in the authors' checkpoints
 * (github.com/whai362/PVT, Apache-2.0). N frames, L tokens, C channels.
 */
import * as z from "zod";
import { count, fraction, integer, perStage, section } from "../fields.js";
import {
  add,
  affine,
  concat,
  conv2d,
  dim,
  gelu,
  matmul,
  mul,
  reshape,
  split,
  type Value,
} from "../graph/index.js";
import {
  type AffineMap,
  attend,
  dropPath,
  kaimingUniform,
  layerNorm,
  linear,
  normalInit,
  type Pass,
  patchLinear,
  recomputed,
  type Scope,
  type TokenGrid,
  toMap,
  toTokens,
  zeros,
} from "../nn/index.js";
import { defineVisualEncoder, type PerStage, type VisualEncoder } from "./encoder-definition.js";
import { imagenetNormalization } from "./normalize-frames.js";
import { countLayers, type StateDictShapes } from "./state-dict-shapes.js";

/** Sizes of a PVTv2, with the values that all published sizes share as defaults. */
const pvtSchema = section({
  kind: z.literal("pvt-v2"),
  /** Channels of the stages. */
  dims: perStage(4096),
  /** Blocks of the stages. */
  depths: perStage(256),
  heads: perStage(256).default([1, 2, 5, 8]),
  mlpRatios: perStage(64),
  /** Spatial reduction of keys and values. */
  reductions: perStage(64).default([8, 4, 2, 1]),
  /** Drop-path rate of the last block; it rises linearly from 0. */
  dropPath: fraction.default(0.1),
  /** Rank of the low-rank adapters on q and the value half of kv; 0 builds no adapters. */
  loraRank: integer(0, 4096).default(0),
});
/** A PVTv2 encoder. */
export type PvtConfig = Readonly<z.infer<typeof pvtSchema>>;

/** The published sizes by name (Wang et al. 2022, table 1). */
export const pvtSizes = {
  "pvt-v2-b0": { dims: [32, 64, 160, 256], depths: [2, 2, 2, 2], mlpRatios: [8, 8, 4, 4] },
  "pvt-v2-b1": { dims: [64, 128, 320, 512], depths: [2, 2, 2, 2], mlpRatios: [8, 8, 4, 4] },
  "pvt-v2-b2": { dims: [64, 128, 320, 512], depths: [3, 4, 6, 3], mlpRatios: [8, 8, 4, 4] },
  "pvt-v2-b3": { dims: [64, 128, 320, 512], depths: [3, 4, 18, 3], mlpRatios: [8, 8, 4, 4] },
  "pvt-v2-b4": { dims: [64, 128, 320, 512], depths: [3, 8, 27, 3], mlpRatios: [8, 8, 4, 4] },
  "pvt-v2-b5": { dims: [64, 128, 320, 512], depths: [3, 6, 40, 3], mlpRatios: [4, 4, 4, 4] },
} as const satisfies Record<string, Pick<PvtConfig, "dims" | "depths" | "mlpRatios">>;

/** Names of the published sizes. */
export type PvtName = keyof typeof pvtSizes;

/** A published PVTv2, with parts replaced. */
export function pvtV2Config(name: PvtName, changes: Partial<Omit<PvtConfig, "kind">> = {}): PvtConfig {
  return pvtSchema.parse({ kind: "pvt-v2", ...pvtSizes[name], ...changes });
}

const linearInit = { weightInit: normalInit(0.02), biasInit: zeros };

/** Weights of a convolution as published for PVTv2: normal, variance 2 / fanOut. */
function convParams(scope: Scope, shape: readonly [number, number, number, number], groups = 1): AffineMap {
  const [outputs, , height, width] = shape;
  const fanOut = (height * width * outputs) / groups;
  return {
    weight: scope.param("weight", shape, normalInit(Math.sqrt(2 / fanOut))),
    bias: scope.param("bias", [outputs], zeros),
  };
}

/** Overlapping patch embedding: a strided convolution and a norm.  `[N,C,H,W]` -> tokens of the smaller grid */
function patchEmbedding(scope: Scope, [inputs, outputs]: readonly [number, number], first: boolean) {
  const kernel = first ? 7 : 3;
  const { weight, bias } = convParams(scope.at("proj"), [outputs, inputs, kernel, kernel]);
  const norm = layerNorm(scope.at("norm"), outputs);
  const options = { stride: first ? 4 : 2, padding: (kernel - 1) / 2 };
  return (map: Value): TokenGrid => {
    const grid = toTokens(conv2d(map, weight, bias, options));
    return { ...grid, tokens: norm(grid.tokens) };
  };
}

interface BlockSizes {
  readonly width: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly reduction: number;
  readonly dropPath: number;
  readonly loraRank: number;
}

/** A low-rank addition to a linear map: B A / rank (Hu et al. 2021); B starts at zero. */
function adapter(scope: Scope, width: number, rank: number) {
  const a = scope.param("lora_A", [rank, width], kaimingUniform(width, Math.sqrt(5)));
  const b = scope.param("lora_B", [width, rank], zeros);
  return {
    apply: (x: Value) => mul(affine(affine(x, a), b), 1 / rank),
    weight: () => matmul(b, a, { alpha: 1 / rank }), // [C,C]
  };
}

/** Spatially reduced attention: keys and values come from patches of `reduction x reduction` tokens. */
function attention(scope: Scope, { width, heads, reduction, loraRank }: BlockSizes) {
  const q = linear(scope.at("q"), width, width, linearInit);
  const kv = linear(scope.at("kv"), width, 2 * width, linearInit);
  const proj = linear(scope.at("proj"), width, width, linearInit);
  const reduce = reduction > 1 && {
    conv: convParams(scope.at("sr"), [width, width, reduction, reduction]),
    norm: layerNorm(scope.at("norm"), width),
  };
  const lora = loraRank > 0 && {
    q: adapter(scope.at("q"), width, loraRank),
    v: adapter(scope.at("kv"), width, loraRank),
  };
  return (grid: TokenGrid, pass: Pass): Value => {
    const { tokens } = grid;
    const source =
      reduce === false ? tokens : reduce.norm(patchLinear(grid, { ...reduce.conv, size: reduction }, pass)); // [N,S,C]
    const halves = [width, width] as const;
    if (lora === false) {
      const [k, v] = split(kv(source), 2, halves);
      return proj(attend({ q: q(tokens), k, v, heads, pass }));
    }
    if (pass.mergesWeights) {
      const [forKeys, forValues] = split(kv.weight, 0, halves);
      const merged = concat([forKeys, add(forValues, lora.v.weight())], 0);
      const [k, v] = split(affine(source, merged, kv.bias), 2, halves);
      const queries = affine(tokens, add(q.weight, lora.q.weight()), q.bias);
      return proj(attend({ q: queries, k, v, heads, pass }));
    }
    const [k, v] = split(kv(source), 2, halves);
    const queries = add(q(tokens), lora.q.apply(tokens));
    return proj(attend({ q: queries, k, v: add(v, lora.v.apply(source)), heads, pass }));
  };
}

/** Channels from which 8-bit products gain more than the change of layout around them costs. */
const wideEnough = 256;

/**
 * Linear, depthwise 3x3 convolution, GELU, linear. The linear maps run as 1x1 convolutions, so that only the
 * narrow ends change between tokens and maps and the runtime keeps one blocked layout in between.
 */
function mlp(scope: Scope, width: number, hidden: number) {
  const first = linear(scope.at("fc1"), width, hidden, linearInit);
  const depthwise = convParams(scope.at("dwconv").at("dwconv"), [hidden, 1, 3, 3], hidden);
  const second = linear(scope.at("fc2"), hidden, width, linearInit);
  const mix = (map: Value) => conv2d(map, depthwise.weight, depthwise.bias, { padding: 1, groups: hidden });
  return (grid: TokenGrid, pass: Pass): Value => {
    if (!pass.fused || (pass.preferMatmul && width >= wideEnough)) {
      const map = toMap({ ...grid, tokens: first(grid.tokens) }); // [N,4C,H,W]
      return second(gelu(toTokens(mix(map)).tokens));
    }
    return toTokens(pointwise(second, gelu(mix(pointwise(first, toMap(grid)))))).tokens;
  };
}

/** A linear map applied to every position of a map `[N,C,H,W]`. */
function pointwise({ weight, bias }: AffineMap, map: Value): Value {
  return conv2d(map, reshape(weight, [dim(weight, 0), dim(weight, 1), 1, 1]), bias);
}

/** A transformer block: x += drop(attention(norm(x))); x += drop(mlp(norm(x))). */
function block(scope: Scope, sizes: BlockSizes) {
  const norm1 = layerNorm(scope.at("norm1"), sizes.width, 1e-6);
  const attend = attention(scope.at("attn"), sizes);
  const norm2 = layerNorm(scope.at("norm2"), sizes.width, 1e-6);
  const feedForward = mlp(scope.at("mlp"), sizes.width, sizes.width * sizes.mlpRatio);
  const drop = dropPath(scope.at("drop_path"), sizes.dropPath);
  return (grid: TokenGrid, pass: Pass): TokenGrid => {
    const layer = recomputed((tokens, inner) => {
      const a = add(tokens, drop(attend({ ...grid, tokens: norm1(tokens) }, inner), inner));
      return add(a, drop(feedForward({ ...grid, tokens: norm2(a) }, inner), inner));
    });
    return { ...grid, tokens: layer(grid.tokens, pass) };
  };
}

/** Builds the encoder's parameters under `scope`. */
export function pvtV2(scope: Scope, config: PvtConfig): VisualEncoder {
  const total = config.depths.reduce((a, b) => a + b, 0);
  let made = 0;
  const stages = config.dims.map((width, i) => {
    // A hundredth of the time, and more of the error of 8 bits than 40 blocks.
    const embed = patchEmbedding(
      scope.at(`patch_embed${i + 1}`).fullPrecision(),
      [config.dims[i - 1] ?? 3, width],
      i === 0,
    );
    const blocks = Array.from({ length: config.depths[i] ?? 0 }, (_, k) =>
      block(scope.at(`block${i + 1}`).at(k), {
        width,
        heads: config.heads[i] ?? 1,
        mlpRatio: config.mlpRatios[i] ?? 4,
        reduction: config.reductions[i] ?? 1,
        dropPath: total > 1 ? (config.dropPath * made++) / (total - 1) : 0,
        loraRank: config.loraRank,
      }),
    );
    const norm = layerNorm(scope.at(`norm${i + 1}`), width, 1e-6);
    return (map: Value, pass: Pass): TokenGrid => {
      const grid = blocks.reduce((g, apply) => apply(g, pass), embed(map));
      return { ...grid, tokens: norm(grid.tokens) };
    };
  });
  return {
    dims: config.dims,
    stem: (frames) => frames,
    stage: (i, map, pass) => {
      const stage = stages[i];
      if (stage === undefined) throw new RangeError(`pvt-v2: no stage ${i}`);
      return stage(map, pass);
    },
  };
}

function inferPvt(shapes: StateDictShapes): PvtConfig | undefined {
  const { has, shape, size } = shapes;
  if (!has("patch_embed1.proj.weight")) return undefined;
  const stages = (read: (stage: number) => number): PerStage => [read(1), read(2), read(3), read(4)];
  const first = (stage: number, rest: string) => `block${stage}.0.${rest}`;
  return pvtV2Config("pvt-v2-b0", {
    dims: stages((s) => size(`patch_embed${s}.proj.weight`)),
    depths: stages((s) =>
      Math.max(
        1,
        countLayers(shapes, (k) => `block${s}.${k}.norm1.weight`),
      ),
    ),
    mlpRatios: stages((s) => size(first(s, "mlp.fc1.weight")) / size(first(s, "mlp.fc1.weight"), 1)),
    reductions: stages((s) => shape(first(s, "attn.sr.weight"))?.[2] ?? 1),
    loraRank: shape(first(1, "attn.q.lora_A"))?.[0] ?? 0,
  });
}

const { shape: fields } = pvtSchema;

/** PVTv2 as one of the visual encoders. The number of heads leaves no trace in a checkpoint: it is the published one. */
export const pvtEncoder = defineVisualEncoder({
  schema: pvtSchema,
  /** `pvt-v2` is a PVTv2 whose sizes the configuration gives. */
  sizes: { ...pvtSizes, "pvt-v2": {} },
  configFields: {
    dropPath: fields.dropPath,
    /** Low-rank adapters on `q` and the value half of `kv`. */
    lora: section({ rank: count(4096).default(32) })
      .nullable()
      .default(null),
    dims: fields.dims.optional(),
    depths: fields.depths.optional(),
    mlpRatios: fields.mlpRatios.optional(),
    heads: fields.heads.unwrap().optional(),
    reductions: fields.reductions.unwrap().optional(),
  },
  fromConfig: ({ lora, ...settings }) => ({ ...settings, loraRank: loraRankOf(lora) }),
  frames: imagenetNormalization,
  dims: (config) => config.dims,
  problem(config) {
    const stage = config.dims.findIndex((d, i) => d % (config.heads[i] ?? 1) !== 0);
    if (stage < 0) return undefined;
    const message = `${config.dims[stage]} is not a multiple of the ${config.heads[stage]} heads of stage ${stage + 1}`;
    return { key: "dims", message };
  },
  build: pvtV2,
  infer: inferPvt,
});

function loraRankOf(lora: unknown): unknown {
  return typeof lora === "object" && lora !== null && "rank" in lora ? lora.rank : 0;
}
