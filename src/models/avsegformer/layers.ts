/** Layers as AVSegFormer starts them: Xavier-uniform weights everywhere below its head. */
import { gelu, type Value } from "../../graph/index.js";
import {
  type Convolution,
  convolution,
  dropout,
  type Linear,
  linear,
  type Pass,
  type Scope,
  xavierUniform,
} from "../../nn/index.js";

/** A linear layer. */
export function dense(scope: Scope, inputs: number, outputs: number): Linear {
  return linear(scope, inputs, outputs, { weightInit: xavierUniform(inputs, outputs) });
}

/** A convolution of stride 1 that keeps the size of its map. */
export function conv(
  scope: Scope,
  sizes: { readonly inputs: number; readonly outputs: number; readonly kernel: number },
): Convolution {
  const { inputs, outputs, kernel } = sizes;
  const weightInit = xavierUniform(inputs * kernel ** 2, outputs * kernel ** 2);
  return convolution(scope, { ...sizes, weightInit });
}

/** Sizes of a feed-forward block, and the scopes of its parts below its own. */
export interface FeedForwardOptions {
  readonly width: number;
  readonly hidden: number;
  readonly dropout: number;
  /** Scopes of the two linear layers and of the dropout between them. */
  readonly names: readonly [first: string, drop: string, second: string];
}

/** Linear, exact GELU, dropout, linear.  x `[...,C]` -> `[...,C]` */
export function feedForward(scope: Scope, options: FeedForwardOptions): (x: Value, pass: Pass) => Value {
  const { width, hidden, names } = options;
  const first = dense(scope.at(names[0]), width, hidden);
  const drop = dropout(scope.at(names[1]), options.dropout);
  const second = dense(scope.at(names[2]), hidden, width);
  return (x, pass) => second(drop(gelu(first(x)), pass));
}
