/** Converts between avseg's tensors and those of ONNX Runtime, for its Node and web packages. */
import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from "onnxruntime-common";
import type { Shape, Tensor } from "../tensor.js";
import type { Provider } from "./providers.js";

/** A tensor of avseg as one of ONNX Runtime, without a copy. */
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

/** A tensor of ONNX Runtime as one of avseg, without a copy. Throws `TypeError` for an element type that avseg lacks. */
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
  throw new TypeError(`runtime: an output has the element type ${t.type}, which avseg does not use`);
}

/** Session options that all runtimes share. */
export function sessionOptions(provider: Provider, threads: number): InferenceSession.SessionOptions {
  return {
    // What a graphics card's kernels lack runs on the processor.
    executionProviders: provider === "cpu" || provider === "wasm" ? [provider] : [provider, "cpu"],
    graphOptimizationLevel: "all",
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // The arena and the memory plan keep the peak memory of every session reserved. Without them a training step is
    // as fast and holds a quarter less.
    enableCpuMemArena: false,
    enableMemPattern: false,
    executionMode: "sequential",
    logSeverityLevel: 3,
  };
}

/** `options` with further settings, by their names below `session.`. */
export function withSessionSettings(
  options: InferenceSession.SessionOptions,
  settings: object,
): InferenceSession.SessionOptions {
  const { session }: { readonly session?: unknown } = options.extra ?? {};
  const present = typeof session === "object" && session !== null ? session : {};
  return { ...options, extra: { ...options.extra, session: { ...present, ...settings } } };
}
