/** Normalization layers. */
import {
  add,
  div,
  groupNorm as groupNormOp,
  layerNorm as layerNormOp,
  mean,
  mul,
  reshape,
  sqrt,
  sub,
  type Value,
} from "../graph/index.js";
import { sizeOf } from "../tensor.js";
import { type Initializer, ones, zeros } from "./init.js";
import type { Pass } from "./pass.js";
import type { Scope } from "./scope.js";

/** Layer normalization over the last axis, `weight` and `bias` `[width]`.  x `[...,width]`. */
export function layerNorm(scope: Scope, width: number, epsilon = 1e-5): (x: Value) => Value {
  const weight = scope.param("weight", [width], ones);
  const bias = scope.param("bias", [width], zeros);
  return (x) => layerNormOp(x, weight, bias, epsilon);
}

/** Group normalization (Wu and He 2018), `weight` and `bias` `[channels]`.  x `[B,C,H,W]` */
export function groupNorm(scope: Scope, channels: number, groups: number): (x: Value) => Value {
  const weight = scope.param("weight", [channels], ones);
  const bias = scope.param("bias", [channels], zeros);
  return (x) => groupNormOp(x, weight, bias, { groups, epsilon: 1e-5 });
}

/** A batch normalization. */
export interface BatchNorm {
  /** Normalizes x `[B,C,H,W]` or `[B,N,C]` with batch statistics in training, else with the running ones. */
  apply(x: Value, pass: Pass): Value;
  /** The affine map per channel of the running statistics: y = x * scale + shift, both `[C]`. */
  running(): { readonly scale: Value; readonly shift: Value };
  /** Whether `apply` uses batch statistics in this pass. */
  usesBatchStatistics(pass: Pass): boolean;
}

/** Options of `batchNorm`. */
export interface BatchNormOptions {
  /** Use the running statistics in training too, and do not update them. Default: false. */
  readonly frozen?: boolean | undefined;
  /** Default: 1e-5. */
  readonly epsilon?: number | undefined;
  /** Weight of the batch's statistics in the new running ones. Default: 0.1. */
  readonly momentum?: number | undefined;
  /** Default: ones. */
  readonly weightInit?: Initializer | undefined;
}

/**
 * Batch normalization over maps `[B,C,H,W]` or tokens `[B,N,C]` with PyTorch's parameters and buffers. In training the
 * new running statistics (the unbiased variance) are added to `pass.updates`; a layer that runs several times in a pass
 * updates them each time.
 */
export function batchNorm(scope: Scope, channels: number, options: BatchNormOptions = {}): BatchNorm {
  const { frozen = false, epsilon = 1e-5, momentum = 0.1 } = options;
  const weight = scope.param("weight", [channels], options.weightInit ?? ones);
  const bias = scope.param("bias", [channels], zeros);
  const runningMean = scope.buffer("running_mean", [channels], zeros);
  const runningVar = scope.buffer("running_var", [channels], ones);
  scope.counter("num_batches_tracked");
  const usesBatchStatistics = (pass: Pass) => pass.training && !frozen;
  const running = () => {
    const scale = div(weight, sqrt(add(runningVar, epsilon)));
    return { scale, shift: sub(bias, mul(runningMean, scale)) };
  };
  return {
    usesBatchStatistics,
    running,
    apply(x, pass) {
      const tokens = x.shape.length === 3;
      const perChannel = (v: Value) => reshape(v, tokens ? [1, 1, channels] : [1, channels, 1, 1]);
      if (!usesBatchStatistics(pass)) {
        const { scale, shift } = running();
        return add(mul(x, perChannel(scale)), perChannel(shift));
      }
      const axes = { axes: tokens ? [0, 1] : [0, 2, 3], keepDims: true };
      const average = mean(x, axes);
      const centered = sub(x, average);
      const variance = mean(mul(centered, centered), axes);
      const count = sizeOf(x.shape) / channels;
      const update = (name: string, first: Value, now: Value) => {
        const key = `${scope.path}.${name}`;
        const old = pass.updates.get(key) ?? first;
        pass.updates.set(key, add(mul(old, 1 - momentum), mul(reshape(now, [channels]), momentum)));
      };
      update("running_mean", runningMean, average);
      update("running_var", runningVar, mul(variance, count / Math.max(1, count - 1)));
      const scale = div(perChannel(weight), sqrt(add(variance, epsilon)));
      return add(mul(centered, scale), perChannel(bias));
    },
  };
}
