/** The objects in pickles of PyTorch: storages, tensors over them, and the allow-list of their constructors. */
import type { CheckpointError } from "../../errors.js";
import { type Shape, sizeOf, type Tensor } from "../../tensor.js";
import { type DiskFile, type ReadOptions, tensorInPlace } from "../byte-source.js";
import { decodeTensor, ELEMENTS, type ElementType, isShape, isSize, isSizes } from "../elements.js";
import { PickleGlobal, type PickleMachine, PickleObject, PickleSet, type PickleValue } from "./pickle.js";

type StorageSource = Pick<TorchStorage, "type" | "size" | "read"> &
  Partial<Pick<TorchStorage, "unpackedBytes" | "place">>;

/** Bytes that several tensors may share. */
export class TorchStorage extends PickleObject {
  /** Element type; `undefined` for an untyped storage, whose tensors name their own. */
  readonly type: ElementType | undefined;
  /** Bytes. */
  readonly size: number;
  /** Reads a part of it into a buffer of its own. */
  readonly read: (offset: number, length: number) => Promise<Uint8Array<ArrayBuffer>>;
  /** Where its bytes lie as they are, checked; `undefined` where they cannot be used in place. */
  readonly place:
    | (() => Promise<{ readonly disk: DiskFile; readonly offset: number } | undefined>)
    | undefined;
  /** Bytes that stay in memory after the first read: all of a packed storage, which is unpacked as a whole. */
  readonly unpackedBytes: number;

  constructor({ type, size, read, place, unpackedBytes = 0 }: StorageSource) {
    super("storage");
    this.type = type;
    this.size = size;
    this.read = read;
    this.place = place;
    this.unpackedBytes = unpackedBytes;
  }
}

/** Where the elements of a tensor lie in its storage, in elements. */
export interface TensorView {
  readonly offset: number;
  readonly shape: Shape;
  readonly strides: readonly number[];
  /** The stored values are the negatives of the tensor's (`torch._neg_view`). */
  readonly negated?: boolean | undefined;
}

/** A tensor that is not yet read: element `i` lies at `offset + sum(i[d] * strides[d])` of its storage. */
export class TorchTensor extends PickleObject {
  readonly storage: TorchStorage;
  readonly type: ElementType;
  readonly shape: Shape;
  readonly #view: TensorView;

  constructor(storage: TorchStorage, type: ElementType, view: TensorView) {
    super("tensor");
    this.storage = storage;
    this.type = type;
    this.shape = view.shape;
    this.#view = view;
  }

  /** Elements of the storage from the first to the last that the tensor touches. */
  get span(): number {
    if (sizeOf(this.shape) === 0) return 0;
    return this.#axes().reduce((sum, { size, stride }) => sum + (size - 1) * stride, 1);
  }

  /** Bytes that reading it takes beside an unpacked storage: what is read and what is returned. */
  get cost(): number {
    const { bytes } = ELEMENTS[this.type];
    return (this.span + sizeOf(this.shape)) * Math.max(bytes, 4);
  }

  /**
   * Reads the elements into row-major order. The tensor shares its data with no other. With `inPlace`, they stay in the
   * file where they lie there in that form.
   */
  async load({ inPlace = false }: ReadOptions = {}): Promise<Tensor> {
    const { bytes } = ELEMENTS[this.type];
    if (inPlace && this.type === "f32" && !this.#view.negated && this.#isContiguous()) {
      const place = await this.storage.place?.();
      if (place) return tensorInPlace(place.disk, place.offset + this.#view.offset * bytes, this.shape);
    }
    const raw = await this.storage.read(this.#view.offset * bytes, this.span * bytes);
    const tensor = decodeTensor(this.#isContiguous() ? raw : this.#gather(raw), this.type, this.shape);
    return this.#view.negated ? negate(tensor) : tensor;
  }

  #axes(): { size: number; stride: number }[] {
    const { strides } = this.#view;
    return this.shape.map((size, axis) => ({ size, stride: strides[axis] ?? 0 }));
  }

  #isContiguous(): boolean {
    let expected = 1;
    for (const { size, stride } of this.#axes().toReversed()) {
      if (size !== 1 && stride !== expected) return sizeOf(this.shape) === 0;
      expected *= size;
    }
    return true;
  }

  /** The bytes of the elements in row-major order. */
  #gather({ buffer }: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const { bytes } = ELEMENTS[this.type];
    const out = new Uint8Array(sizeOf(this.shape) * bytes);
    if (bytes === 1) copyStrided(new Uint8Array(buffer), out, this.#axes());
    else if (bytes === 2) copyStrided(new Uint16Array(buffer), new Uint16Array(out.buffer), this.#axes());
    else if (bytes === 4) copyStrided(new Uint32Array(buffer), new Uint32Array(out.buffer), this.#axes());
    else copyStrided(new BigUint64Array(buffer), new BigUint64Array(out.buffer), this.#axes());
    return out;
  }
}

type Axis = { readonly size: number; readonly stride: number };

/** Copies the elements that `axes` (outermost first) select from `from` to `to`, in row-major order. */
function copyStrided<E, A extends { [index: number]: E; readonly length: number }>(
  from: A,
  to: A,
  axes: readonly Axis[],
): void {
  // Axes of one element select nothing. Without them a file cannot make the recursion deep.
  const outer = axes.filter(({ size }) => size !== 1);
  const inner = outer.pop() ?? { size: 1, stride: 0 };
  let next = 0;
  const copy = (depth: number, start: number): void => {
    const axis = outer[depth];
    if (axis === undefined) {
      for (let i = 0, at = start; i < inner.size; i++, at += inner.stride) to[next++] = from[at] as E;
    } else {
      for (let i = 0; i < axis.size; i++) copy(depth + 1, start + i * axis.stride);
    }
  };
  copy(0, 0);
}

/** The tensor with the sign of every float changed, in place. */
function negate(tensor: Tensor): Tensor {
  if (tensor.dtype !== "f32" && tensor.dtype !== "f64") return tensor;
  const { data } = tensor;
  data.forEach((value, i) => {
    data[i] = -value;
  });
  return tensor;
}

const typeOfStorage: Readonly<Record<string, ElementType>> = {
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

const typeOfDType: Readonly<Record<string, ElementType>> = {
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
const unsupportedNames = [
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

/** Types that a lazily negated tensor can have. */
const floatTypes: ReadonlySet<ElementType> = new Set(["f64", "f32", "f16", "bf16"]);

/** `_rebuild_tensor(storage, offset, size, stride)`. */
function rebuildTensor(args: PickleValue[], machine: PickleMachine): TorchTensor {
  return tensorOf(args.slice(0, 4), undefined, machine);
}

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata])`. */
function rebuildTensorV2(args: PickleValue[], machine: PickleMachine): TorchTensor {
  return tensorOf(args.slice(0, 4), { metadata: args[6] }, machine);
}

/** `_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, backward_hooks, dtype[, metadata])`. */
function rebuildTensorV3(args: PickleValue[], machine: PickleMachine): TorchTensor {
  return tensorOf(args.slice(0, 4), { dtype: args[6], metadata: args[7] }, machine);
}

function tensorOf(
  [storage, offset, shape, strides]: PickleValue[],
  { dtype, metadata }: { dtype?: PickleValue | undefined; metadata?: PickleValue | undefined } = {},
  machine: PickleMachine,
): TorchTensor {
  if (!(storage instanceof TorchStorage)) throw machine.refuse("a tensor without its storage");
  const type = storage.type ?? elementTypeOf(dtype);
  if (type === undefined) throw unsupported(dtype, machine);
  if (!isShape(shape) || !isSizes(strides) || strides.length !== shape.length) {
    throw machine.refuse("a tensor with an invalid shape or invalid strides");
  }
  if (!isSize(offset)) throw machine.refuse("a tensor with an invalid offset");
  const negated = isNegated(metadata, type, machine);
  const tensor = new TorchTensor(storage, type, { offset, shape, strides, negated });
  const end = (offset + tensor.span) * ELEMENTS[type].bytes;
  if (!(end <= storage.size) && sizeOf(shape) > 0) {
    throw machine.refuse(`a tensor [${shape.join(",")}] that exceeds its storage of ${storage.size} bytes`);
  }
  machine.spend(shape.length);
  return tensor;
}

/** What `metadata` (`{"neg": True}`, `{"conj": True}`) says of a view whose values PyTorch computes when they are read. */
function isNegated(metadata: PickleValue | undefined, type: ElementType, machine: PickleMachine): boolean {
  if (metadata === undefined || metadata === null) return false;
  if (!(metadata instanceof Map)) throw machine.refuse("a tensor with invalid metadata");
  const set = [...metadata].filter(([, value]) => value !== false).map(([name]) => name);
  const foreign = set.find((name) => name !== "neg");
  if (foreign !== undefined || (set.length > 0 && !floatTypes.has(type))) {
    const what = foreign === undefined ? `negated ${type}` : foreign === "conj" ? "conjugate" : "lazy";
    throw machine.refuse(
      `a ${what} view, whose values are not those in the file`,
      "Save it again with PyTorch after `tensor.resolve_conj().resolve_neg()`, as float32.",
    );
  }
  return set.length > 0;
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
  if (!Array.isArray(items)) throw machine.refuse("a dictionary whose items are not a list");
  machine.spend(items.length);
  return new Map(
    items.map((pair): [PickleValue, PickleValue] => {
      const [key, value] = Array.isArray(pair) && pair.length === 2 ? pair : [];
      if (key === undefined || value === undefined) {
        throw machine.refuse("a dictionary whose items are not pairs");
      }
      return [key, value];
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
 * Everything that a checkpoint may name. What has no meaning here (a device, a NumPy scalar, a namespace of options)
 * becomes an inert object, so that files with such values beside their tensors can be read.
 */
export function torchGlobals(
  loadFromBytes: (bytes: Uint8Array, machine: PickleMachine) => PickleValue,
): ReadonlyMap<string, PickleGlobal> {
  const all = new Map<string, PickleGlobal>();
  const allow = (name: string, construct?: PickleGlobal["construct"]) =>
    all.set(name, new PickleGlobal(name, construct));
  allow("torch._utils._rebuild_tensor", rebuildTensor);
  allow("torch._utils._rebuild_tensor_v2", rebuildTensorV2);
  allow("torch._utils._rebuild_tensor_v3", rebuildTensorV3);
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
  for (const name of Object.keys(typeOfStorage)) {
    allow(`torch.${name}Storage`);
    allow(`torch.cuda.${name}Storage`);
  }
  allow("torch.storage.UntypedStorage");
  allow("torch.UntypedStorage");
  for (const name of [...Object.keys(typeOfDType), ...unsupportedNames]) allow(`torch.${name}`);
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
