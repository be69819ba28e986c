/** The names that PyTorch has for element types. */
import type { CheckpointError } from "../../errors.js";
import type { ElementType } from "../elements.js";
import { PickleGlobal, type PickleMachine, type PickleValue } from "./pickle.js";

/** Element types by the name of the storage class. */
export const typeOfStorage: Readonly<Record<string, ElementType>> = {
  Double: "f64",
  Float: "f32",
  Half: "f16",
  BFloat16: "bf16",
  Long: "i64",
  Int: "i32",
  Short: "i16",
  Char: "i8",
  Byte: "u8",
  Bool: "bool",
};

/** Element types by the name of the dtype. */
export const typeOfDType: Readonly<Record<string, ElementType>> = {
  float64: "f64",
  float32: "f32",
  float16: "f16",
  bfloat16: "bf16",
  int64: "i64",
  int32: "i32",
  int16: "i16",
  int8: "i8",
  uint8: "u8",
  bool: "bool",
};

/** Known names without a counterpart here. They are allowed so that a refusal can say which dtype is not supported. */
export const unsupportedNames = [
  ...["uint16", "uint32", "uint64", "complex32", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"],
  ...["ComplexFloatStorage", "ComplexDoubleStorage", "QInt8Storage", "QUInt8Storage", "QInt32Storage"],
];

/** The element type that a storage class (`torch.FloatStorage`) or dtype (`torch.float32`) stands for. */
export function elementTypeOf(global: PickleValue | undefined): ElementType | undefined {
  if (!(global instanceof PickleGlobal)) return undefined;
  const name = global.name.slice(global.name.lastIndexOf(".") + 1);
  const type = name.endsWith("Storage") ? typeOfStorage[name.slice(0, -"Storage".length)] : undefined;
  return type ?? typeOfDType[name];
}

/** Whether `global` is a storage class, typed or not. */
export function isStorageClass(global: PickleValue | undefined): global is PickleGlobal {
  return global instanceof PickleGlobal && global.name.endsWith("Storage");
}

/** Whether `storage` is a class of storages whose tensors name their own dtype. */
export function isUntyped(storage: PickleGlobal): boolean {
  return storage.name.endsWith("UntypedStorage");
}

/** The refusal of a dtype or storage class without a counterpart here. */
export function unsupported(global: PickleValue | undefined, machine: PickleMachine): CheckpointError {
  const name = global instanceof PickleGlobal ? ` (${global.name})` : "";
  return machine.refuse(
    `a tensor of a dtype that is not supported${name}`,
    "Convert it with PyTorch, for example to float32.",
  );
}
