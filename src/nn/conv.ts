/** Convolution layers. */
import { conv2d, type Value } from "../graph/index.js";
import { type Initializer, torchDefault } from "./init.js";
import type { AffineMap } from "./linear.js";
import type { Scope } from "./scope.js";

/** A convolution of stride 1 that keeps the size of the map: x `[B,I,H,W]` -> `[B,O,H,W]`. */
export type Convolution = AffineMap & ((x: Value) => Value);

/** Sizes and initial values of a convolution. */
export interface ConvolutionOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Side of the kernel, an odd number. Default: 3. */
  readonly kernel?: number | undefined;
  /** Distance between neighboring taps. Default: 1. */
  readonly dilation?: number | undefined;
  /** Initial weights. Default: PyTorch's. */
  readonly weightInit?: Initializer | undefined;
}

/** A convolution with the parameters `weight [O,I,k,k]` and `bias [O]`. */
export function convolution(scope: Scope, options: ConvolutionOptions): Convolution {
  const { inputs, outputs, kernel = 3, dilation = 1 } = options;
  const init = torchDefault(inputs * kernel * kernel);
  const weight = scope.param("weight", [outputs, inputs, kernel, kernel], options.weightInit ?? init);
  const bias = scope.param("bias", [outputs], init);
  const padding = (dilation * (kernel - 1)) / 2;
  return Object.assign((x: Value) => conv2d(x, weight, bias, { padding, dilation }), { weight, bias });
}
