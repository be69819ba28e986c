/** ONNX's numbers of element types. */
import type { DType } from "../../tensor.js";

/** ONNX element type (`TensorProto.DataType`) by dtype. */
export const elementType: Readonly<Record<DType, number>> = {
  f32: 1,
  u8: 2,
  i32: 6,
  i64: 7,
  bool: 9,
  f64: 11,
};

/** Element types of stored weights: those of host tensors, and two that only files and kernels have. */
export type StoredType = DType | "f16" | "i8";

/** ONNX element type by the type of a stored weight. */
export const storedElementType: Readonly<Record<StoredType, number>> = { ...elementType, i8: 3, f16: 10 };
