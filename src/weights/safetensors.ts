/**
 * The safetensors format: an 8-byte length, a JSON header `{key: {dtype, shape, data_offsets}}`, then the tensors'
 * bytes end to end. Reading checks every size against the file before anything is allocated.
 */
import { CheckpointError } from "../errors.js";
import { narrowWeights } from "../half.js";
import { type DType, type Shape, type StateDict, sizeOf, type Tensor } from "../tensor.js";
import { type ByteSource, type ReadOptions, tensorInPlace } from "./byte-source.js";
import { decodeTensor, ELEMENTS, type ElementType, isShape, isSize } from "./elements.js";

/** Headers longer than this are refused, as in the format's reference reader. */
const maxHeaderBytes = 100_000_000;

const typeOfName: Readonly<Record<string, ElementType>> = {
  F64: "f64",
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  I64: "i64",
  I32: "i32",
  I16: "i16",
  I8: "i8",
  U8: "u8",
  BOOL: "bool",
};

/** Where a tensor lies: its stored type, shape, and byte range in the file (`end` exclusive). */
export interface SafetensorsEntry {
  readonly type: ElementType;
  readonly shape: Shape;
  readonly start: number;
  readonly end: number;
}

/** The header of a file. */
export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** By key, in the order of the bytes. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
}

/** Reads and checks the header only. Throws `CheckpointError` when it is malformed or does not fit the file's size. */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const fail = refusal(source);
  if (source.size < 8) throw fail(`${source.size} bytes are too few for a safetensors file`);
  const prefix = await source.read(0, 8);
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (length > maxHeaderBytes || 8 + length > source.size) {
    throw fail(`its first bytes announce a header of ${length} bytes in a file of ${source.size}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await source.read(8, length)));
  } catch (error) {
    throw fail(`the header is not JSON (${error instanceof Error ? error.message : error})`);
  }
  if (!isRecord(json)) throw fail("the header is not a JSON object");
  const { __metadata__: metadata, ...described } = json;
  const entries = Object.entries(described).map(([key, value]): [string, SafetensorsEntry] => [
    key,
    checkEntry(key, value, { dataStart: 8 + length, fail }),
  ]);
  entries.sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  let position = 8 + length;
  for (const [key, { start, end }] of entries) {
    if (start !== position) {
      const what = start < position ? "overlaps the tensor before it" : "leaves a hole before it";
      throw fail(`tensor ${key} ${what}`);
    }
    position = end;
  }
  if (position !== source.size) {
    throw fail(`its tensors end at byte ${position}, but the file has ${source.size}`);
  }
  return { metadata: checkMetadata(metadata, fail), entries: new Map(entries) };
}

/**
 * Reads all tensors, or those for which `select` is true. Halves come as `f32`, 8 and 16-bit integers as `i32`.
 * Throws `CheckpointError` when the file is malformed.
 */
export async function readSafetensors(
  source: ByteSource,
  options: ReadOptions & { select?: (key: string) => boolean } = {},
): Promise<{ tensors: Map<string, Tensor>; metadata: Readonly<Record<string, string>> }> {
  const { metadata, entries } = await readSafetensorsHeader(source);
  const tensors = new Map<string, Tensor>();
  for (const [key, { type, shape, start, end }] of entries) {
    if (options.select?.(key) === false) continue;
    options.signal?.throwIfAborted();
    const { disk } = source;
    const placed = options.inPlace && disk && tensorInPlace({ disk, offset: start, type, shape });
    tensors.set(key, placed || decodeTensor(await source.read(start, end - start), type, shape));
  }
  return { tensors, metadata };
}

/** Options of writing: `dtype: "f16"` stores every `f32` tensor as IEEE halves. */
export interface SafetensorsWriteOptions {
  dtype?: "f32" | "f16" | undefined;
}

const nameOfDType: { readonly [D in DType]: string } = {
  f64: "F64",
  f32: "F32",
  i64: "I64",
  i32: "I32",
  u8: "U8",
  bool: "BOOL",
};

/** Elements converted at a time, which bounds the memory for writing halves. */
const pieceElements = 1 << 20;

/**
 * The bytes of a safetensors file, in pieces. The same tensors and metadata give the same bytes, whatever their
 * order: wide element types come first (which aligns the data), then keys in the order of their code units.
 * Throws `CheckpointError` when a value does not fit a half, `RangeError` when data and shape disagree.
 */
export function* encodeSafetensors(
  tensors: StateDict,
  metadata: Readonly<Record<string, string>> = {},
  { dtype = "f32" }: SafetensorsWriteOptions = {},
): Generator<Uint8Array> {
  const stored = [...tensors].map(([key, tensor]) => {
    if (tensor.data.length !== sizeOf(tensor.shape)) {
      throw new RangeError(`${key}: ${tensor.data.length} values do not fill [${tensor.shape.join(",")}]`);
    }
    if (key === "__metadata__")
      throw new RangeError("encodeSafetensors: a tensor cannot be called __metadata__");
    const half = dtype === "f16" && tensor.dtype === "f32";
    return { key, tensor, half, width: half ? 2 : tensor.data.BYTES_PER_ELEMENT };
  });
  stored.sort((a, b) => b.width - a.width || (a.key < b.key ? -1 : 1));

  let offset = 0;
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) {
    header.push(["__metadata__", Object.fromEntries(Object.entries(metadata).sort(byKey))]);
  }
  for (const { key, tensor, half, width } of stored) {
    const end = offset + tensor.data.length * width;
    const type = half ? "F16" : nameOfDType[tensor.dtype];
    header.push([key, { dtype: type, shape: tensor.shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  // Written entry by entry: keys that look like numbers would otherwise move to the front of an object.
  const text = `{${header.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
  const json = new TextEncoder().encode(text);
  const padded = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  padded.set(json, 8);
  yield padded;

  for (const { key, tensor, half } of stored) {
    if (half && tensor.dtype === "f32") yield* halfPieces(key, tensor.data);
    else yield new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  }
}

function* halfPieces(key: string, data: Float32Array): Generator<Uint8Array> {
  for (let start = 0; start < data.length; start += pieceElements) {
    const bits = narrowWeights(data.subarray(start, start + pieceElements), key, "store it in float32");
    yield new Uint8Array(bits.buffer);
  }
}

type Refuse = (what: string) => CheckpointError;

function refusal(source: ByteSource): Refuse {
  return (what) =>
    new CheckpointError(`${source.name}: not a valid safetensors file: ${what}`, {
      hint: "The file is truncated, damaged or of another format. Get it again.",
    });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkEntry(
  key: string,
  value: unknown,
  { dataStart, fail }: { readonly dataStart: number; readonly fail: Refuse },
): SafetensorsEntry {
  if (!isRecord(value)) throw fail(`tensor ${key} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  const type = typeof dtype === "string" && Object.hasOwn(typeOfName, dtype) ? typeOfName[dtype] : undefined;
  if (type === undefined) {
    throw fail(
      `tensor ${key} has dtype ${JSON.stringify(dtype)}, expected one of ${Object.keys(typeOfName).join(", ")}`,
    );
  }
  if (!isShape(shape)) throw fail(`tensor ${key} has the shape ${JSON.stringify(shape)}`);
  const [start, end]: unknown[] = Array.isArray(offsets) && offsets.length === 2 ? offsets : [];
  if (!isSize(start) || !isSize(end) || end < start) {
    throw fail(`tensor ${key} has the data offsets ${JSON.stringify(offsets)}`);
  }
  if (end - start !== sizeOf(shape) * ELEMENTS[type].bytes) {
    throw fail(`tensor ${key} is ${dtype}[${shape}] but has ${end - start} bytes`);
  }
  return { type, shape, start: dataStart + start, end: dataStart + end };
}

function checkMetadata(value: unknown, fail: Refuse): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) throw fail("__metadata__ is not an object");
  const pairs = Object.entries(value).map(([key, text]): [string, string] => {
    if (typeof text !== "string") throw fail(`__metadata__.${key} is not a string`);
    return [key, text];
  });
  return Object.fromEntries(pairs);
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1;
}
