/** Between our tensors and ONNX Runtime's; the same for its Node and web packages. */
import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from "onnxruntime-common";
import type { Shape, Tensor } from "../tensor.js";
import type { Provider } from "./runtime.js";

/** Our tensor as ONNX Runtime's, without a copy. */
export function toOrt(Ctor: TensorConstructor, t: Tensor): OrtTensor {
  const dims = [...t.shape];
  switch (t.dtype) {
    case "f32":
      return new Ctor("float32", t.data, dims);
    case "f64":
      return new Ctor("float64", t.data, dims);
    case "i32":
      return new Ctor("int32", t.data, dims);
    case "i64":
      return new Ctor("int64", t.data, dims);
    case "u8":
      return new Ctor("uint8", t.data, dims);
    case "bool":
      return new Ctor("bool", t.data, dims);
  }
}

/** ONNX Runtime's tensor as ours, without a copy. Throws `TypeError` for a type that graphs here never have. */
export function fromOrt(t: OrtTensor): Tensor {
  const shape: Shape = [...t.dims];
  const { data } = t;
  if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) {
    const { buffer, byteOffset, length } = data;
    if (t.type === "float32")
      return { dtype: "f32", shape, data: new Float32Array(buffer, byteOffset, length) };
    if (t.type === "float64")
      return { dtype: "f64", shape, data: new Float64Array(buffer, byteOffset, length) };
    if (t.type === "int32") return { dtype: "i32", shape, data: new Int32Array(buffer, byteOffset, length) };
    if (t.type === "int64")
      return { dtype: "i64", shape, data: new BigInt64Array(buffer, byteOffset, length) };
    if (t.type === "uint8") return { dtype: "u8", shape, data: new Uint8Array(buffer, byteOffset, length) };
    if (t.type === "bool") return { dtype: "bool", shape, data: new Uint8Array(buffer, byteOffset, length) };
  }
  throw new TypeError(`runtime: an output has element type ${t.type}`);
}

/** Session options that all runtimes share. */
export function sessionOptions(provider: Provider, threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: provider === "webgpu" ? ["webgpu", "cpu"] : [provider],
    graphOptimizationLevel: "all",
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // The arena and the memory plan keep the peak of every session reserved, and never use the heap that
    // creating it has left free: without them a training step is as fast and holds a quarter less.
    enableCpuMemArena: false,
    enableMemPattern: false,
    executionMode: "sequential",
    logSeverityLevel: 3,
  };
}
