/** The allow-list of what pickles of PyTorch may name, with the constructors of tensors. */
import { sizeOf } from "../../tensor.js";
import { ELEMENTS, type ElementType, isShape, isSize, isSizes } from "../elements.js";
import { elementTypeOf, typeOfDType, typeOfStorage, unsupported, unsupportedNames } from "./dtypes.js";
import { TorchStorage, TorchTensor } from "./objects.js";
import { PickleGlobal, type PickleMachine, PickleObject, PickleSet, type PickleValue } from "./pickle.js";

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
