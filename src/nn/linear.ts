/** Linear layers, and arithmetic on their weights. */
import { add, affine, concat, dim, matmul, reshape, slice, type Value } from "../graph/index.js";
import { type Initialiser, torchDefault, zeros } from "./init.js";
import type { Scope } from "./scope.js";

/** An affine map: weight `[out,in]`, bias `[out]`. */
export interface AffineMap {
  readonly weight: Value;
  readonly bias: Value;
}

/** A linear layer: x `[...,in]` -> `[...,out]`. */
export type Linear = AffineMap & ((x: Value) => Value);

/** Options of `linear`; PyTorch's defaults unless told. */
export interface LinearOptions {
  readonly weightInit?: Initialiser | undefined;
  readonly biasInit?: Initialiser | undefined;
}

/** A linear layer with the parameters `weight [out,in]` and `bias [out]`. */
export function linear(scope: Scope, inputs: number, outputs: number, options: LinearOptions = {}): Linear {
  const { weightInit = torchDefault(inputs), biasInit = torchDefault(inputs) } = options;
  return linearOf({
    weight: scope.param("weight", [outputs, inputs], weightInit),
    bias: scope.param("bias", [outputs], biasInit),
  });
}

/** A linear layer without bias: x `[...,in]` -> `[...,out]`, with the parameter `weight [out,in]`. */
export function projection(
  scope: Scope,
  inputs: number,
  outputs: number,
  options: Pick<LinearOptions, "weightInit"> = {},
): (x: Value) => Value {
  const weight = scope.param("weight", [outputs, inputs], options.weightInit ?? torchDefault(inputs));
  return (x) => affine(x, weight);
}

/** The layer of an affine map. */
export function linearOf({ weight, bias }: AffineMap): Linear {
  return Object.assign((x: Value) => affine(x, weight, bias), { weight, bias });
}

/** Weights as PyTorch's `MultiheadAttention` starts its output projection. */
export function attentionOutput(scope: Scope, width: number): Linear {
  return linear(scope, width, width, { biasInit: zeros });
}

/** Outputs `start..end` of an affine map. */
export function outputsOf({ weight, bias }: AffineMap, start: number, end: number): AffineMap {
  const range = [{ axis: 0, start, end }];
  return { weight: slice(weight, range), bias: slice(bias, range) };
}

/** `outer` after `inner` as one map: W = Wo Wi, b = Wo bi + bo. */
export function composed(outer: AffineMap, inner: AffineMap): AffineMap {
  const weight = matmul(outer.weight, inner.weight);
  const moved = reshape(matmul(outer.weight, reshape(inner.bias, [-1, 1])), [dim(outer.weight, 0)]);
  return { weight, bias: add(moved, outer.bias) };
}

/** Two maps of one input side by side: outputs of `a`, then of `b`. */
export function stacked(a: AffineMap, b: AffineMap): AffineMap {
  return { weight: concat([a.weight, b.weight], 0), bias: concat([a.bias, b.bias], 0) };
}
