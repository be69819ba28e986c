/** What the pickles of torch refer to: storages and tensors over them, and the allow-list of their constructors. */
import { type Shape, sizeOf, type Tensor } from "../../tensor.js";
import { checkedSize, decodeTensor, ELEMENTS, type ElementType } from "../elements.js";
import { PickleGlobal, type PickleMachine, PickleObject, PickleSet, type PickleValue } from "./pickle.js";

/** Bytes that several tensors may look at. */
export class TorchStorage extends PickleObject {
  /** Element type; `undefined` for an untyped storage, whose tensors name their own. */
  readonly type: ElementType | undefined;
  /** Bytes. */
  readonly size: number;
  /** Reads a part of it into a buffer of its own. */
  readonly read: (offset: number, length: number) => Promise<Uint8Array<ArrayBuffer>>;
  /** Bytes that stay in memory once any part was read: all of a packed storage, as it is unpacked whole. */
  readonly unpackedBytes: number;

  constructor(type: ElementType | undefined, size: number, read: TorchStorage["read"], unpackedBytes = 0) {
    super("storage");
    this.type = type;
    this.size = size;
    this.read = read;
    this.unpackedBytes = unpackedBytes;
  }
}

/** A tensor that is not yet read: element `i` lies at `offset + sum(i[d] * strides[d])` of its storage. */
export class TorchTensor extends PickleObject {
  readonly storage: TorchStorage;
  readonly type: ElementType;
  readonly offset: number;
  readonly shape: Shape;
  readonly strides: readonly number[];

  constructor(
    storage: TorchStorage,
    type: ElementType,
    view: { offset: number; shape: Shape; strides: readonly number[] },
  ) {
    super("tensor");
    this.storage = storage;
    this.type = type;
    this.offset = view.offset;
    this.shape = view.shape;
    this.strides = view.strides;
  }

  /** Elements of the storage from the first to the last that the tensor touches. */
  get span(): number {
    if (sizeOf(this.shape) === 0) return 0;
    return this.shape.reduce((sum, d, axis) => sum + (d - 1) * (this.strides[axis] as number), 1);
  }

  /** Bytes that reading it takes beside an unpacked storage: what is read and what comes out. */
  get cost(): number {
    const { bytes } = ELEMENTS[this.type];
    return (this.span + sizeOf(this.shape)) * Math.max(bytes, 4);
  }

  /** Reads the elements into row-major order. The tensor shares its data with no other. */
  async load(): Promise<Tensor> {
    const { bytes } = ELEMENTS[this.type];
    const raw = await this.storage.read(this.offset * bytes, this.span * bytes);
    if (this.#isContiguous()) return decodeTensor(raw, this.type, this.shape);
    const flat = decodeTensor(raw, this.type, [this.span]);
    switch (flat.dtype) {
      case "i64":
        return {
          dtype: "i64",
          shape: this.shape,
          data: this.#gather(flat.data, new BigInt64Array(sizeOf(this.shape))),
        };
      case "f64":
        return {
          dtype: "f64",
          shape: this.shape,
          data: this.#gather(flat.data, new Float64Array(sizeOf(this.shape))),
        };
      case "f32":
        return {
          dtype: "f32",
          shape: this.shape,
          data: this.#gather(flat.data, new Float32Array(sizeOf(this.shape))),
        };
      case "i32":
        return {
          dtype: "i32",
          shape: this.shape,
          data: this.#gather(flat.data, new Int32Array(sizeOf(this.shape))),
        };
      case "u8":
      case "bool":
        return {
          dtype: flat.dtype,
          shape: this.shape,
          data: this.#gather(flat.data, new Uint8Array(sizeOf(this.shape))),
        };
    }
  }

  #isContiguous(): boolean {
    let expected = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      const d = this.shape[axis] as number;
      if (d !== 1 && this.strides[axis] !== expected) return sizeOf(this.shape) === 0;
      expected *= d;
    }
    return true;
  }

  #gather<E, A extends { [index: number]: E; readonly length: number }>(from: A, to: A): A {
    const rank = this.shape.length;
    const inner = this.shape[rank - 1] as number;
    const step = this.strides[rank - 1] as number;
    const index = new Array<number>(rank).fill(0);
    let row = 0;
    for (let out = 0; out < to.length; ) {
      for (let i = 0; i < inner; i++) to[out++] = from[row + i * step] as E;
      // Advance the odometer of the outer axes.
      for (let axis = rank - 2; axis >= 0; axis--) {
        const stride = this.strides[axis] as number;
        index[axis] = (index[axis] as number) + 1;
        row += stride;
        if ((index[axis] as number) < (this.shape[axis] as number)) break;
        row -= stride * (this.shape[axis] as number);
        index[axis] = 0;
      }
    }
    return to;
  }
}

const STORAGES: Readonly<Record<string, ElementType>> = {
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

const DTYPES: Readonly<Record<string, ElementType>> = {
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

/** Known, but without a counterpart here: named so that a refusal can say what is not supported. */
const UNSUPPORTED = [
  ...["uint16", "uint32", "uint64", "complex32", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"],
  ...["ComplexFloatStorage", "ComplexDoubleStorage", "QInt8Storage", "QUInt8Storage", "QInt32Storage"],
];

/** The element type that a storage class (`torch.FloatStorage`) or dtype (`torch.float32`) stands for. */
export function elementTypeOf(global: PickleValue | undefined): ElementType | undefined {
  if (!(global instanceof PickleGlobal)) return undefined;
  const name = global.name.split(".").at(-1) as string;
  const type = name.endsWith("Storage") ? STORAGES[name.slice(0, -"Storage".length)] : undefined;
  return type ?? DTYPES[name];
}

/** Whether `global` is a storage class, typed or not. */
export function isStorageClass(global: PickleValue | undefined): boolean {
  return global instanceof PickleGlobal && global.name.endsWith("Storage");
}

/** `_rebuild_tensor*(storage, offset, size, stride, ...)`, with a dtype as the seventh argument in the third form. */
function rebuildTensor(args: PickleValue[], machine: PickleMachine): TorchTensor {
  const [storage, offset, shape, strides, , , dtype] = args;
  if (!(storage instanceof TorchStorage)) throw machine.refuse("a tensor without its storage");
  const type = storage.type ?? elementTypeOf(dtype);
  if (type === undefined) {
    const name = dtype instanceof PickleGlobal ? ` (${dtype.name})` : "";
    throw machine.refuse(
      `a tensor of a dtype that is not supported${name}`,
      "convert it with PyTorch, e.g. to float32",
    );
  }
  const size = Array.isArray(shape) ? checkedSize(shape) : undefined;
  const valid =
    Array.isArray(strides) &&
    strides.every((s) => typeof s === "number" && Number.isSafeInteger(s) && s >= 0);
  if (size === undefined || !valid || strides.length !== (shape as Shape).length) {
    throw machine.refuse("a tensor whose shape and strides are no whole numbers");
  }
  if (typeof offset !== "number" || !Number.isSafeInteger(offset) || offset < 0) {
    throw machine.refuse("a tensor whose offset is no whole number");
  }
  const view = { offset, shape: shape as Shape, strides: strides as number[] };
  const tensor = new TorchTensor(storage, type, view);
  const end = (offset + tensor.span) * ELEMENTS[type].bytes;
  if (!(end <= storage.size) && size > 0) {
    throw machine.refuse(
      `a tensor [${view.shape.join(",")}] that exceeds its storage of ${storage.size} bytes`,
    );
  }
  machine.spend(view.shape.length);
  return tensor;
}

/** The value itself of `Parameter(data, ...)` and the like. */
function firstTensor(args: PickleValue[], machine: PickleMachine): TorchTensor {
  if (args[0] instanceof TorchTensor) return args[0];
  throw machine.refuse("a parameter without its tensor");
}

/** `_rebuild_from_type_v2(function, type, args, state)`: a tensor with Python attributes, which are dropped. */
function rebuildFromType(args: PickleValue[], machine: PickleMachine): PickleValue {
  const [rebuild, , inner] = args;
  if (!(rebuild instanceof PickleGlobal) || rebuild.construct === undefined || !Array.isArray(inner)) {
    throw machine.refuse("a tensor whose constructor is malformed");
  }
  // One level only: the functions that build tensors do not call others.
  if (rebuild.construct === rebuildFromType) throw machine.refuse("a tensor whose constructor is malformed");
  return rebuild.construct(inner, machine);
}

function dictionary(args: PickleValue[], machine: PickleMachine): PickleValue {
  const [items] = args;
  if (items instanceof Map) {
    machine.spend(items.size);
    return new Map(items);
  }
  if (items === undefined) return new Map();
  if (!Array.isArray(items)) throw machine.refuse("a dictionary made of something else");
  machine.spend(items.length);
  return new Map(
    items.map((pair): [PickleValue, PickleValue] => {
      if (!Array.isArray(pair) || pair.length !== 2)
        throw machine.refuse("a dictionary made of something else");
      return [pair[0] as PickleValue, pair[1] as PickleValue];
    }),
  );
}

/** `_codecs.encode(text, "latin1")`: how bytes look in pickles of protocol 2 and older. */
function encodeLatin1(args: PickleValue[], machine: PickleMachine): PickleValue {
  const [text, encoding] = args;
  if (typeof text !== "string" || encoding !== "latin1") throw machine.refuse("text in an unknown encoding");
  machine.spend(text.length);
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

function makeSet(args: PickleValue[], machine: PickleMachine): PickleValue {
  const [items] = args;
  if (!Array.isArray(items)) return new PickleSet();
  machine.spend(items.length);
  return new PickleSet([...items]);
}

/**
 * Everything that a checkpoint may name. Those without a meaning here (a device, a NumPy scalar, a namespace of options)
 * become inert objects, so that files which carry them beside their tensors can be read.
 */
export function torchGlobals(
  loadFromBytes: (bytes: Uint8Array, machine: PickleMachine) => PickleValue,
): ReadonlyMap<string, PickleGlobal> {
  const all = new Map<string, PickleGlobal>();
  const allow = (name: string, construct?: PickleGlobal["construct"]) =>
    all.set(name, new PickleGlobal(name, construct));
  for (const name of ["_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"]) {
    allow(`torch._utils.${name}`, rebuildTensor);
  }
  for (const name of [
    "_utils._rebuild_parameter",
    "_utils._rebuild_parameter_with_state",
    "nn.parameter.Parameter",
  ]) {
    allow(`torch.${name}`, firstTensor);
  }
  allow("torch.nn.parameter.Buffer", firstTensor);
  allow("torch._tensor._rebuild_from_type_v2", rebuildFromType);
  allow("torch.Tensor");
  allow("torch.storage._load_from_bytes", ([bytes], machine) => {
    if (!(bytes instanceof Uint8Array)) throw machine.refuse("a storage without its bytes");
    machine.spend(bytes.length);
    return loadFromBytes(bytes, machine);
  });
  for (const name of Object.keys(STORAGES)) {
    allow(`torch.${name}Storage`);
    allow(`torch.cuda.${name}Storage`);
  }
  allow("torch.storage.UntypedStorage");
  allow("torch.UntypedStorage");
  for (const name of [...Object.keys(DTYPES), ...UNSUPPORTED]) allow(`torch.${name}`);
  allow("torch.Size", ([items]) => (Array.isArray(items) ? items : []));
  for (const name of ["OrderedDict", "Counter"]) allow(`collections.${name}`, dictionary);
  allow("_codecs.encode", encodeLatin1);
  for (const name of ["builtins.set", "__builtin__.set"]) allow(name, makeSet);
  const inert = ["torch.device", "argparse.Namespace", "numpy.dtype", "numpy.ndarray"];
  for (const core of ["numpy.core", "numpy._core"]) {
    inert.push(`${core}.multiarray.scalar`, `${core}.multiarray._reconstruct`, `${core}.numeric._frombuffer`);
  }
  for (const name of inert) allow(name, () => new PickleObject(name));
  return all;
}
