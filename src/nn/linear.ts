/** Linear layers, and arithmetic on their weights. */
import { add, affine, concat, dim, matmul, reshape, slice, type Value } from "../graph/index.js";
import { type Initializer, torchDefault } from "./init.js";
import type { Scope } from "./scope.js";

/** A linear map, with or without a bias: weight `[out,in]`, bias `[out]`. */
export interface LinearMap {
  readonly weight: Value;
  readonly bias: Value | undefined;
}

/** An affine map: weight `[out,in]`, bias `[out]`. */
export interface AffineMap extends LinearMap {
  readonly bias: Value;
}

/** The layer of a map: x `[...,in]` -> `[...,out]`. */
export type LayerOf<M extends LinearMap> = M & ((x: Value) => Value);
/** A linear layer: x `[...,in]` -> `[...,out]`. */
export type Linear = LayerOf<AffineMap>;

/** Options of `linear`. */
export interface LinearOptions {
  /** Default: PyTorch's. */
  readonly weightInit?: Initializer | undefined;
  /** Default: PyTorch's. */
  readonly biasInit?: Initializer | undefined;
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
): LayerOf<LinearMap> {
  const weight = scope.param("weight", [outputs, inputs], options.weightInit ?? torchDefault(inputs));
  return linearOf({ weight, bias: undefined });
}

/**
 * A convolution of kernel 1 over `axes` axes, as a layer over tokens `[...,in]` -> `[...,out]`: parameters
 * `weight [out,in,1,...]` and `bias [out]`.
 */
export function pointwise(scope: Scope, inputs: number, outputs: number, axes: 1 | 2 | 3): Linear {
  const kernel = Array.from({ length: axes }, () => 1);
  const init = torchDefault(inputs);
  const weight = scope.param("weight", [outputs, inputs, ...kernel], init);
  return linearOf({
    weight: reshape(weight, [outputs, inputs]),
    bias: scope.param("bias", [outputs], init),
  });
}

/** The layer of a map. */
export function linearOf<M extends LinearMap>(map: M): LayerOf<M> {
  return Object.assign((x: Value) => affine(x, map.weight, map.bias), map);
}

/** Outputs `start..end` of a map. */
export function outputsOf({ weight, bias }: LinearMap, start: number, end: number): LinearMap {
  const range = [{ axis: 0, start, end }];
  return { weight: slice(weight, range), bias: bias && slice(bias, range) };
}

/** `outer` after `inner` as one map: W = Wo Wi, b = Wo bi + bo. */
export function composed(outer: LinearMap, inner: LinearMap): LinearMap {
  const weight = matmul(outer.weight, inner.weight);
  const moved =
    inner.bias && reshape(matmul(outer.weight, reshape(inner.bias, [-1, 1])), [dim(outer.weight, 0)]);
  return { weight, bias: moved && outer.bias ? add(moved, outer.bias) : (moved ?? outer.bias) };
}

/** Two maps of one input side by side: outputs of `a`, then of `b`. Both have a bias, or neither has. */
export function stacked(a: LinearMap, b: LinearMap): LinearMap {
  if ((a.bias === undefined) !== (b.bias === undefined)) throw new RangeError("stacked: one map has no bias");
  const bias = a.bias && b.bias && concat([a.bias, b.bias], 0);
  return { weight: concat([a.weight, b.weight], 0), bias };
}
