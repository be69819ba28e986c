/** Multi-head attention with PyTorch's packed parameters. */
import {
  add,
  affine,
  constant,
  dim,
  matmul,
  mul,
  reshape,
  shape3,
  softmax,
  split,
  sum,
  transpose,
  type Value,
} from "../graph/index.js";
import { full } from "../tensor.js";
import { dropoutMask } from "./dropout.js";
import { type Initializer, xavierUniform, zeros } from "./init.js";
import { composed, type LinearMap, linear, linearOf, outputsOf, projection, stacked } from "./linear.js";
import type { Pass } from "./pass.js";
import type { Scope } from "./scope.js";

/** Inputs of `attend`: projected queries q `[B,L,C]`, keys k and values v `[B,S,C]`. */
export interface AttentionInputs {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  readonly heads: number;
  readonly pass: Pass;
  /** Dropout of the attention weights: the path of its random site, and its rate. Default: none. */
  readonly drop?: { readonly path: string; readonly rate: number } | undefined;
}

/** Rows from which attention with few keys is faster over head blocks than with its queries transposed. */
const manyRows = 64;

/** softmax(q k^T / sqrt(C / heads)) v, head by head -> `[B,L,C]`. */
export function attend({ q, k, v, heads, pass, drop }: AttentionInputs): Value {
  const [batch, rows, width] = shape3(q, "attention");
  const keys = dim(k, 1);
  const size = width / heads;
  if (!Number.isInteger(size)) {
    throw new RangeError(`attention: ${width} channels are not a multiple of ${heads} heads`);
  }
  const alpha = 1 / Math.sqrt(size);
  const dropped = (weights: Value): Value => {
    const mask = drop && dropoutMask(drop, weights.shape, pass);
    return mask === undefined ? weights : mul(weights, mask);
  };

  if (heads === 1) return matmul(dropped(softmax(matmul(q, k, { transB: true, alpha }), -1)), v);

  if (pass.fused && keys <= 8 && rows >= manyRows) {
    const blocks = headBlocks(k, heads);
    const scores = reshape(matmul(q, blocks, { transB: true, alpha }), [batch, rows, heads, keys]);
    const weights = reshape(dropped(softmax(scores, -1)), [batch, rows, heads * keys]);
    return matmul(weights, headBlocks(v, heads));
  }
  if (pass.fused && rows <= 8 && keys >= manyRows) {
    const scores = matmul(headBlocks(q, heads), k, { transB: true, alpha }); // [B,heads*L,S]
    return fromHeadBlocks(matmul(dropped(softmax(scores, -1)), v), heads);
  }
  const perHead = (x: Value) => transpose(reshape(x, [batch, dim(x, 1), heads, size]), [0, 2, 1, 3]);
  const weights = softmax(matmul(perHead(q), perHead(k), { transB: true, alpha }), -1); // [B,heads,L,S]
  const mixed = matmul(dropped(weights), perHead(v)); // [B,heads,L,size]
  return reshape(transpose(mixed, [0, 2, 1, 3]), [batch, rows, width]);
}

/** `[C/heads]` ones per head on a block diagonal: `[heads,1,C]`. */
function headMask(width: number, heads: number): Value {
  const t = full([heads, 1, width]);
  const size = width / heads;
  for (let h = 0; h < heads; h++) t.data.fill(1, h * width + h * size, h * width + (h + 1) * size);
  return constant(t);
}

/**
 * Repeats every row once per head, with the channels of the other heads set to zero: `[B,S,C]` -> `[B,heads*S,C]`. One
 * matrix product then serves all heads, with `heads` times the multiplications but without a change of layout.
 */
export function headBlocks(x: Value, heads: number): Value {
  const [batch, rows, width] = shape3(x, "headBlocks");
  const spread = mul(reshape(x, [batch, 1, rows, width]), headMask(width, heads));
  return reshape(spread, [batch, heads * rows, width]);
}

/** Sums the rows of all heads, each restricted to the channels of its head: `[B,heads*L,C]` -> `[B,L,C]`. */
export function fromHeadBlocks(x: Value, heads: number): Value {
  const [batch, rows, width] = shape3(x, "fromHeadBlocks");
  const own = mul(reshape(x, [batch, heads, rows / heads, width]), headMask(width, heads));
  return sum(own, { axes: [1] });
}

/** Inputs of a multi-head attention: queries `[B,L,C]` over a source of keys and values `[B,S,C]`. */
export interface AttentionCall {
  readonly query: Value;
  readonly source: Value;
  /** A map C -> 2C applied to the source first: the first half of its outputs gives keys, the second values. */
  readonly before?: LinearMap | undefined;
  readonly pass: Pass;
}

/** Multi-head attention -> `[B,L,C]`, or `[B,1,C]` to broadcast where all rows agree (a source of one row). */
export type MultiHeadAttention = (call: AttentionCall) => Value;

/** Sizes and options of `multiHeadAttention`. */
export interface AttentionOptions {
  readonly width: number;
  readonly heads: number;
  /** Rate at which attention weights are dropped in training. Default: 0. */
  readonly dropout?: number | undefined;
  /** Whether the projections have biases. Default: true. */
  readonly bias?: boolean | undefined;
  /** Initial weights of the output projection. Default: PyTorch's. */
  readonly outputInit?: Initializer | undefined;
}

/** `torch.nn.MultiheadAttention`: `in_proj_weight [3C,C]`, `in_proj_bias`, `out_proj`; dropout on the weights. */
export function multiHeadAttention(
  scope: Scope,
  { width, heads, dropout = 0, bias = true, outputInit }: AttentionOptions,
): MultiHeadAttention {
  const packed = {
    weight: scope.param("in_proj_weight", [3 * width, width], xavierUniform(width, 3 * width)),
    bias: bias ? scope.param("in_proj_bias", [3 * width], zeros) : undefined,
  };
  const output = { weightInit: outputInit, biasInit: zeros };
  const out = (bias ? linear : projection)(scope.at("out_proj"), width, width, output);
  const drop = { path: `${scope.path}.attention`, rate: dropout };

  return ({ query, source, before, pass }) => {
    if (dim(source, 1) === 1 && pass.fused) {
      // The softmax over a single key is always 1, so the value is broadcast.
      const first = before && outputsOf(before, width, 2 * width);
      const v = through([outputsOf(packed, 2 * width, 3 * width), first], source, pass); // [B,1,C]
      const [batch, rows] = shape3(query, "attention");
      const mask = dropoutMask(drop, [batch * rows, heads], pass);
      if (mask === undefined) return out(v);
      // In training the dropout of that 1 remains. The output projection is applied before the value is repeated.
      const spread = matmul(reshape(mask, [batch, rows, heads]), affine(headBlocks(v, heads), out.weight));
      return out.bias === undefined ? spread : add(spread, out.bias);
    }
    if (query === source && before === undefined) {
      const [q, k, v] = split(linearOf(packed)(query), 2, [width, width, width]);
      return out(attend({ q, k, v, heads, pass, drop }));
    }
    const q = linearOf(outputsOf(packed, 0, width))(query);
    const [k, v] = keysAndValues(outputsOf(packed, width, 3 * width), { source, before, pass });
    return out(attend({ q, k, v, heads, pass, drop }));
  };
}

/** `outer` after the optional `inner`, as one map where the pass merges weights. */
function through([outer, inner]: readonly [LinearMap, LinearMap | undefined], x: Value, pass: Pass): Value {
  if (inner === undefined) return linearOf(outer)(x);
  return pass.mergesWeights ? linearOf(composed(outer, inner))(x) : linearOf(outer)(linearOf(inner)(x));
}

/** Keys and values `[B,S,C]` of a source: `packed` has the 2C outputs of both. */
function keysAndValues(
  packed: LinearMap,
  { source, before, pass }: Omit<AttentionCall, "query">,
): readonly [Value, Value] {
  const width = dim(packed.weight, 0) / 2;
  const halves = (m: LinearMap) => [outputsOf(m, 0, width), outputsOf(m, width, 2 * width)] as const;
  if (before !== undefined && !pass.mergesWeights) {
    const [forKeys, forValues] = halves(packed);
    const [a, b] = split(linearOf(before)(source), 2, [width, width]);
    return [linearOf(forKeys)(a), linearOf(forValues)(b)];
  }
  let both = packed;
  if (before !== undefined) {
    const [outerKeys, outerValues] = halves(packed);
    const [innerKeys, innerValues] = halves(before);
    both = stacked(composed(outerKeys, innerKeys), composed(outerValues, innerValues));
  }
  const [k, v] = split(linearOf(both)(source), 2, [width, width]);
  return [k, v];
}
