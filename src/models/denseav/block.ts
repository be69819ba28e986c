/** The transformer block that DINO and the sound aligner of DenseAV share. */
import { add, affine, gelu, matmul, mul, split, type Value } from "../../graph/index.js";
import { attend, kaimingUniform, layerNorm, linear, type Pass, type Scope, zeros } from "../../nn/index.js";

/** Epsilon of every layer norm, except those of HuBERT's convolutions. */
export const epsilon = 1e-4;

/** Divided by its rank, this is how much a low-rank adapter counts. */
const adapterAlpha = 32;

/** Sizes of a block. */
export interface BlockSizes {
  readonly width: number;
  readonly heads: number;
  /** Rank of the low-rank adapters. Default: 0, none. */
  readonly loraRank?: number | undefined;
}

/**
 * A linear layer with an optional low-rank adapter (Hu et al. 2021), keys as of the library peft: y = x W^T + b + 32 / rank
 * (x A^T) B^T.  x `[...,inputs]` -> `[...,outputs]`
 */
export function adaptedLinear(
  scope: Scope,
  { inputs, outputs, rank }: { readonly inputs: number; readonly outputs: number; readonly rank: number },
): (x: Value, pass: Pass) => Value {
  const base = linear(scope, inputs, outputs);
  if (rank === 0) return (x) => base(x);
  const a = scope
    .at("lora_A")
    .at("default")
    .param("weight", [rank, inputs], kaimingUniform(inputs, Math.sqrt(5)));
  const b = scope.at("lora_B").at("default").param("weight", [outputs, rank], zeros);
  const alpha = adapterAlpha / rank;
  return (x, pass) => {
    if (pass.mergesWeights) return affine(x, add(base.weight, matmul(b, a, { alpha })), base.bias);
    return add(base(x), mul(affine(affine(x, a), b), alpha));
  };
}

/** x += attention(norm(x)); x += mlp(norm(x)).  `[B,N,C]` -> `[B,N,C]` */
export function transformerBlock(
  scope: Scope,
  { width, heads, loraRank = 0 }: BlockSizes,
): (x: Value, pass: Pass) => Value {
  const norm1 = layerNorm(scope.at("norm1"), width, epsilon);
  const attention = scope.at("attn");
  const qkv = adaptedLinear(attention.at("qkv"), { inputs: width, outputs: 3 * width, rank: loraRank });
  const out = linear(attention.at("proj"), width, width);
  const norm2 = layerNorm(scope.at("norm2"), width, epsilon);
  const widen = linear(scope.at("mlp").at("fc1"), width, 4 * width);
  const narrow = linear(scope.at("mlp").at("fc2"), 4 * width, width);
  return (x, pass) => {
    const [q, k, v] = split(qkv(norm1(x), pass), 2, [width, width, width]);
    const attended = add(x, out(attend({ q, k, v, heads, pass })));
    return add(attended, narrow(gelu(widen(norm2(attended)))));
  };
}
