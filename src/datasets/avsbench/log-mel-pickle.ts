/**
 * Writes log-mels as AVSBench stores them: a pickled PyTorch tensor, for use with the published Python code.
 * They are read by `src/weights`, which executes nothing in a pickle.
 */
import { sizeOf, type TensorOf } from "../../tensor.js";

/** The bytes of `pickle.dump(tensor)`. Throws `RangeError` for a tensor of 2^29 elements or more. */
export function encodeTensorPickle(tensor: TensorOf<"f32">): Uint8Array<ArrayBuffer> {
  if (tensor.data.length >= 2 ** 29)
    throw new RangeError(`pickle: expected fewer than 2^29 elements, got ${tensor.data.length}`);
  const storage = legacyStorage(tensor.data);
  const strides = tensor.shape.map((_, axis) => sizeOf(tensor.shape.slice(axis + 1)));
  // torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, requires_grad=False, OrderedDict())
  return concat([
    protocol(3),
    global("torch._utils", "_rebuild_tensor_v2"),
    mark,
    global("torch.storage", "_load_from_bytes"),
    [0x42, ...u32(storage.length)],
    storage,
    tuple1,
    reduce,
    integer(0),
    tuple(tensor.shape),
    tuple(strides),
    newFalse,
    global("collections", "OrderedDict"),
    emptyTuple,
    reduce,
    endTuple,
    reduce,
    stop,
  ]);
}

/** A float storage in PyTorch's legacy file format: five small pickles, the number of elements, the elements. */
function legacyStorage(data: Float32Array): Uint8Array<ArrayBuffer> {
  const magic = [0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
  const version = integer(1001);
  const system = [
    ...[0x7d, 0x28, ...text("protocol_version"), ...version, ...text("little_endian"), 0x88],
    ...[...text("type_sizes"), 0x7d, 0x28, ...text("short"), ...integer(2), ...text("int"), ...integer(4)],
    ...[...text("long"), ...integer(4), 0x75, 0x75],
  ];
  // A persistent id: ("storage", torch.FloatStorage, key, "cpu", count, None)
  const reference = [
    ...[...mark, ...text("storage"), ...global("torch", "FloatStorage"), ...text("0"), ...text("cpu")],
    ...[...integer(data.length), 0x4e, ...endTuple, 0x51],
  ];
  const keys = [0x5d, ...text("0"), 0x61];
  const head = [magic, version, system, reference, keys].flatMap((part) => [
    ...protocol(2),
    ...part,
    ...stop,
  ]);
  const out = new Uint8Array(head.length + 8 + 4 * data.length);
  out.set(head);
  const view = new DataView(out.buffer);
  view.setBigInt64(head.length, BigInt(data.length), true);
  data.forEach((value, i) => {
    view.setFloat32(head.length + 8 + 4 * i, value, true);
  });
  return out;
}

// Opcodes of the pickle format.
const mark = [0x28];
const stop = [0x2e];
const reduce = [0x52];
const tuple1 = [0x85];
const endTuple = [0x74];
const emptyTuple = [0x29];
const newFalse = [0x89];
const protocol = (version: number): number[] => [0x80, version];
const u32 = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24];
const integer = (n: number): number[] => [0x4a, ...u32(n)];
const ascii = (s: string): number[] => [...new TextEncoder().encode(s)];
const text = (s: string): number[] => [0x58, ...u32(ascii(s).length), ...ascii(s)];
const global = (module: string, name: string): number[] => [0x63, ...ascii(`${module}\n${name}\n`)];
const tuple = (items: readonly number[]): number[] => [...mark, ...items.flatMap(integer), ...endTuple];

function concat(parts: readonly (readonly number[] | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
