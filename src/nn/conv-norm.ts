/** A convolution followed by a batch normalization, the building block of convolutional encoders. */
import { conv2d, dim, mul, pad, reshape, type Value } from "../graph/index.js";
import { normalInit } from "./init.js";
import { type BatchNormOptions, batchNorm } from "./norm.js";
import type { Pass } from "./pass.js";
import type { Scope } from "./scope.js";

/** A layer over maps: x `[B,I,H,W]` -> `[B,O,H',W']`. */
export type MapLayer = (x: Value, pass: Pass) => Value;

/** Sizes of `convNorm`. */
export interface ConvNormOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Side of the kernel, an odd number. */
  readonly kernel: number;
  /** Default: 1. */
  readonly stride?: number | undefined;
  /** Default: 1. A depthwise convolution has as many groups as channels. */
  readonly groups?: number | undefined;
  /**
   * `symmetric`: half a kernel on every side, as in PyTorch. `same`: as TensorFlow's "SAME", which puts the larger half
   * after the map where a stride leaves an odd number. Default: `symmetric`.
   */
  readonly padding?: "symmetric" | "same" | undefined;
  readonly norm?: BatchNormOptions | undefined;
}

/**
 * A convolution without bias and its batch normalization, with the parameters of `conv` (`weight [O,I/groups,k,k]`) and
 * of `norm`. Running statistics are folded into the convolution where the pass allows it.
 */
export function convNorm(conv: Scope, norm: Scope, options: ConvNormOptions): MapLayer {
  const { inputs, outputs, kernel, stride = 1, groups = 1, padding = "symmetric" } = options;
  const init = normalInit(Math.sqrt((2 * groups) / (outputs * kernel * kernel)));
  const weight = conv.param("weight", [outputs, inputs / groups, kernel, kernel], init);
  const bn = batchNorm(norm, outputs, options.norm);
  const attributes = { stride, groups, padding: padding === "symmetric" ? (kernel - 1) / 2 : 0 };
  return (map, pass) => {
    const x = padding === "same" ? padSame(map, kernel, stride) : map;
    if (bn.usesBatchStatistics(pass) || !pass.fused) {
      return bn.apply(conv2d(x, weight, undefined, attributes), pass);
    }
    const { scale, shift } = bn.running();
    return conv2d(x, mul(weight, reshape(scale, [outputs, 1, 1, 1])), shift, attributes);
  };
}

/** Zeros around a map `[B,C,H,W]`, so that a convolution gives `ceil(size / stride)` rows and columns. */
function padSame(x: Value, kernel: number, stride: number): Value {
  return pad(
    x,
    [2, 3].map((axis) => {
      const size = dim(x, axis);
      const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + kernel - size);
      const before = Math.floor(total / 2);
      return { axis, before, after: total - before };
    }),
  );
}
