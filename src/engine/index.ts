/**
 * What the engine is in Node and in browsers. The entries add the runtime of their platform: `node/index.ts` is
 * `avseg/engine`, `web/index.ts` is `avseg/engine/web`.
 */

// Errors
export { AvsegError, OutOfMemoryError } from "../errors.js";
// Graphs: values, their ops, new ops, derivatives
export { gradients } from "../graph/autodiff.js";
export { defineOp, type GradientContext, type OpDefinition } from "../graph/define-op.js";
// ONNX
export { constantValues } from "../graph/onnx/constant-values.js";
export { type EmitOptions, emitOnnx, type OnnxGraph } from "../graph/onnx/emit.js";
export type { EmitTarget, Emitter } from "../graph/onnx/emitter.js";
export { type OnnxModel, readOnnx } from "../graph/onnx/read.js";
export { type SerializeOptions, serializeOnnx } from "../graph/onnx/serialize.js";
export * as ops from "../graph/ops/index.js";
export { constant, input, parameter, scalar } from "../graph/ops/leaves.js";
export type { Value } from "../graph/value.js";
// Layers and their parameters
export { type PassClips, randomFeeds, type StepKey } from "../nn/dropout.js";
export { Pass, type PassOptions } from "../nn/pass.js";
export { initialState, type ParameterSpec, Scope } from "../nn/scope.js";
// Optimizers
export {
  createOptimizer,
  type Optimizer,
  type OptimizerConfig,
  type Trainable,
} from "../optim/optimizers.js";
export { type ScheduleConfig, scheduleFactor } from "../optim/schedule.js";
export { Random } from "../random.js";
// Runtimes
export type { Provider } from "../runtime/providers.js";
export {
  OwnedWeights,
  type Runtime,
  type RuntimeOptions,
  type Session,
  type SessionSource,
  type Tensors,
} from "../runtime/runtime.js";
// Tensors on the host
export {
  asF32,
  type DType,
  f32,
  full,
  type Shape,
  type StateDict,
  type Tensor,
  type TensorOf,
} from "../tensor.js";
export * as nn from "./layers.js";
