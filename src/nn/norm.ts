/** Normalisation layers. */
import {
  add,
  dim,
  div,
  layerNorm as layerNormOp,
  mean,
  mul,
  reshape,
  sqrt,
  sub,
  type Value,
} from "../graph/index.js";
import { ones, zeros } from "./init.js";
import type { Pass } from "./pass.js";
import type { Scope } from "./scope.js";

/** Layer normalisation over the last axis, `weight` and `bias` `[width]`.  x `[...,width]`. */
export function layerNorm(scope: Scope, width: number, epsilon = 1e-5): (x: Value) => Value {
  const weight = scope.param("weight", [width], ones);
  const bias = scope.param("bias", [width], zeros);
  return (x) => layerNormOp(x, weight, bias, epsilon);
}

/** A batch normalisation: what it multiplies by and adds per channel, and how to apply it. */
export interface BatchNorm {
  /** x `[B,C,H,W]`, normalised with batch statistics in training, else with the running ones. */
  apply(x: Value, pass: Pass): Value;
  /** The affine map per channel of the running statistics: y = x * scale + shift, both `[C]`. */
  running(): { readonly scale: Value; readonly shift: Value };
  /** True when `apply` uses batch statistics in this pass. */
  usesBatch(pass: Pass): boolean;
}

/** Options of `batchNorm`. */
export interface BatchNormOptions {
  /** Use and keep the running statistics in training too. */
  readonly frozen?: boolean | undefined;
  readonly epsilon?: number | undefined;
  /** Share of the batch's statistics in the new running ones. */
  readonly momentum?: number | undefined;
}

/**
 * Batch normalisation over `[B,C,H,W]` with PyTorch's parameters and buffers. In training the new running
 * statistics (the variance without bias) are left in `pass.updates`.
 */
export function batchNorm(scope: Scope, channels: number, options: BatchNormOptions = {}): BatchNorm {
  const { frozen = false, epsilon = 1e-5, momentum = 0.1 } = options;
  const weight = scope.param("weight", [channels], ones);
  const bias = scope.param("bias", [channels], zeros);
  const runningMean = scope.buffer("running_mean", [channels], zeros);
  const runningVar = scope.buffer("running_var", [channels], ones);
  scope.counter("num_batches_tracked");
  const perChannel = (v: Value) => reshape(v, [1, channels, 1, 1]);
  const usesBatch = (pass: Pass) => pass.training && !frozen;
  const running = () => {
    const scale = div(weight, sqrt(add(runningVar, epsilon)));
    return { scale, shift: sub(bias, mul(runningMean, scale)) };
  };
  return {
    usesBatch,
    running,
    apply(x, pass) {
      if (!usesBatch(pass)) {
        const { scale, shift } = running();
        return add(mul(x, perChannel(scale)), perChannel(shift));
      }
      const axes = { axes: [0, 2, 3], keepDims: true };
      const average = mean(x, axes);
      const centred = sub(x, average);
      const variance = mean(mul(centred, centred), axes);
      const count = dim(x, 0) * dim(x, 2) * dim(x, 3);
      const update = (old: Value, now: Value, factor: number) =>
        add(mul(old, 1 - momentum), mul(reshape(now, [channels]), momentum * factor));
      pass.updates.set(`${scope.path}.running_mean`, update(runningMean, average, 1));
      pass.updates.set(
        `${scope.path}.running_var`,
        update(runningVar, variance, count / Math.max(1, count - 1)),
      );
      const scale = div(perChannel(weight), sqrt(add(variance, epsilon)));
      return add(mul(centred, scale), perChannel(bias));
    },
  };
}
