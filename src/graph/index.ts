/** The graph: values, ops, differentiation, ONNX. */
export * from "./autodiff.js";
export { opNames } from "./define-op.js";
export { constantValues } from "./onnx/constant-values.js";
export { elementType, type StoredType } from "./onnx/element-type.js";
export * from "./onnx/emit.js";
export type { EmitTarget, Emitter, OnnxAttribute, OnnxNode, OnnxValue, StoredValue } from "./onnx/emitter.js";
export * from "./onnx/serialize.js";
export { type Convolution, convolutionOf } from "./ops/conv.js";
export * from "./ops/index.js";
export * from "./ops/leaves.js";
export { dim, shape3, shape4 } from "./shapes.js";
export { type GraphNode, topologicalOrder, type Value } from "./value.js";
