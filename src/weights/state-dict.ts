/** From any weight file to parameters by key, and from these to the parameters that a model expects. */
import { CheckpointError } from "../errors.js";
import { type DType, describe, type Shape, type StateDict, type Tensor } from "../tensor.js";
import type { ByteSource, ReadOptions } from "./byte-source.js";
import { detectContainer } from "./detect.js";
import { ELEMENTS, type ElementType } from "./elements.js";
import { readSafetensors, readSafetensorsHeader } from "./safetensors.js";
import { TorchTensor } from "./torch/objects.js";
import type { PickleValue } from "./torch/pickle.js";
import { loadTorchTensors, readTorch, type TorchFormat } from "./torch/reader.js";

/** The formats that are told apart by their content. */
export type WeightFormat = "safetensors" | TorchFormat;

/** What is known of a tensor without reading it. */
export interface TensorInfo {
  /** As stored; see `ELEMENTS` for what it is read as. */
  readonly type: ElementType;
  readonly shape: Shape;
}

/** The content of a weight file by key, without its data. */
export interface WeightListing {
  readonly format: WeightFormat;
  /** Of safetensors the metadata, of torch the plain values beside the tensors (`epoch`, ...), as text. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** A weight file read whole. */
export interface LoadedStateDict {
  readonly format: WeightFormat;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Map<string, Tensor>;
}

/** Keys under which training scripts put a model's parameters, in the order of preference. */
const NESTS = [
  "state_dict",
  "model_state_dict",
  "model_state",
  "model",
  "module",
  "net",
  "params",
  "weights",
];

/** Lists a weight file. Throws `CheckpointError` when it is damaged, foreign or holds no tensors. */
export async function listWeights(source: ByteSource): Promise<WeightListing> {
  if ((await detectContainer(source)) === "safetensors") {
    const { metadata, entries } = await readSafetensorsHeader(source);
    if (entries.size === 0) throw holdsNothing(source);
    return { format: "safetensors", metadata, tensors: entries };
  }
  const { format, metadata, tensors } = await readTorchState(source);
  return { format, metadata, tensors };
}

/**
 * Reads a weight file: safetensors or torch (zip, legacy, a pickled dictionary of tensors), told apart by its content.
 * Nests (`state_dict`, `model`, ...) are opened and a `module.` that all keys share is removed.
 * Throws `CheckpointError` when the file is damaged, foreign or holds no tensors.
 */
export async function readStateDict(source: ByteSource, options: ReadOptions = {}): Promise<LoadedStateDict> {
  if ((await detectContainer(source)) === "safetensors") {
    const read = await readSafetensors(source, options);
    if (read.tensors.size === 0) throw holdsNothing(source);
    return { format: "safetensors", ...read };
  }
  const { format, metadata, tensors } = await readTorchState(source);
  return { format, metadata, tensors: await loadTorchTensors(source, tensors, options) };
}

function holdsNothing(source: ByteSource): CheckpointError {
  return new CheckpointError(`${source.name}: expected parameters, found a file that holds none`, {
    hint: "get the file again, or from another source",
  });
}

/** Reads the one tensor that a torch file holds, e.g. a pickled log-mel. Throws `CheckpointError` otherwise. */
export async function readTorchTensor(source: ByteSource): Promise<Tensor> {
  const { root } = await readTorch(source);
  if (!(root instanceof TorchTensor)) {
    throw new CheckpointError(`${source.name}: expected a single tensor, found ${kindOf(root)}`);
  }
  const loaded = await loadTorchTensors(source, new Map([["tensor", root]]));
  return loaded.get("tensor") as Tensor;
}

async function readTorchState(source: ByteSource) {
  const { root, format } = await readTorch(source);
  const metadata: Record<string, string> = {};
  const tensors = collect(root, metadata);
  if (tensors === undefined || tensors.size === 0) {
    throw new CheckpointError(`${source.name}: no parameters found in ${kindOf(root)}${keysOf(root)}`, {
      hint: `expected a dictionary of tensors, itself or under one of ${NESTS.join(", ")}`,
    });
  }
  return { format, metadata, tensors: withoutModule(tensors) };
}

/**
 * Tensors by key of the first dictionary that has any; the plain values met go to `metadata`. Nests come before what
 * lies beside them, as training scripts keep the state of random generators there. Each dictionary is opened once:
 * a pickle's may contain themselves, or one another many times over.
 */
function collect(root: PickleValue, metadata: Record<string, string>): Map<string, TorchTensor> | undefined {
  const opened = new Set<PickleValue>();
  /** What to open, and below its nests each dictionary that was, with its tensors. */
  const pending: { value: PickleValue; tensors?: Map<string, TorchTensor> }[] = [{ value: root }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { value, tensors } = next;
    if (tensors !== undefined) {
      if (tensors.size > 0) return tensors;
    } else if (value instanceof Map && !opened.has(value)) {
      opened.add(value);
      pending.push({ value, tensors: tensorsOf(value, metadata) });
      for (const name of NESTS.toReversed()) pending.push({ value: value.get(name) ?? null });
    }
  }
  return undefined;
}

function tensorsOf(
  dictionary: ReadonlyMap<PickleValue, PickleValue>,
  metadata: Record<string, string>,
): Map<string, TorchTensor> {
  const tensors = new Map<string, TorchTensor>();
  for (const [key, value] of dictionary) {
    if (typeof key !== "string") continue;
    if (value instanceof TorchTensor) tensors.set(key, value);
    else if (["string", "number", "bigint", "boolean"].includes(typeof value))
      metadata[key] ??= String(value);
  }
  return tensors;
}

/** Removes the prefix that `DataParallel` puts before every key, as often as it was wrapped. */
function withoutModule(tensors: Map<string, TorchTensor>): Map<string, TorchTensor> {
  const prefix = "module.";
  let bare = tensors;
  while ([...bare.keys()].every((key) => key.startsWith(prefix))) {
    bare = new Map([...bare].map(([key, tensor]) => [key.slice(prefix.length), tensor]));
  }
  return bare;
}

function kindOf(value: PickleValue): string {
  if (value instanceof Map) return "a dictionary";
  if (value instanceof TorchTensor) return "a single tensor";
  return Array.isArray(value) ? "a list" : "something that is no dictionary";
}

/** The first names in a dictionary, cut short. Keys of other kinds may be nests that unfold without end. */
function keysOf(value: PickleValue): string {
  const names = value instanceof Map ? [...value.keys()].filter((key) => typeof key === "string") : [];
  if (names.length === 0) return "";
  const few = names.slice(0, 8).map((name) => (name.length > 60 ? `${name.slice(0, 57)}...` : name));
  return ` with the keys ${few.join(", ")}`;
}

/** A parameter that a model needs. */
export interface ExpectedParameter {
  readonly key: string;
  readonly shape: Shape;
  /** `f32` unless told. */
  readonly dtype?: DType | undefined;
  /** May be missing (`num_batches_tracked` in files of old versions of PyTorch). */
  readonly optional?: boolean | undefined;
}

/** How a file's keys relate to the expected ones. */
export interface MatchOptions {
  /** Names the file in messages. */
  readonly file: string;
  /** Only keys that begin with this count, without it: `visual_encoder.` takes an encoder out of a whole model. */
  readonly prefix?: string | undefined;
  /** Keys (without the prefix) that may be there though nobody expects them, e.g. a classifier's `head.`. */
  readonly ignore?: ((key: string) => boolean) | undefined;
}

/**
 * The expected parameters out of `found`, in the expected order; doubles are rounded to floats where those are expected.
 * Throws `CheckpointError` that lists missing, unexpected and mis-shaped keys, the first few of each and their number.
 */
export function matchStateDict(
  expected: Iterable<ExpectedParameter>,
  found: StateDict,
  options: MatchOptions,
): Map<string, Tensor> {
  const prefix = options.prefix ?? "";
  const left = new Set(
    [...found.keys()].filter((k) => k.startsWith(prefix)).map((k) => k.slice(prefix.length)),
  );
  const matched = new Map<string, Tensor>();
  const missing: string[] = [];
  const different: string[] = [];
  for (const { key, shape, dtype = "f32", optional } of expected) {
    left.delete(key);
    const tensor = found.get(prefix + key);
    if (tensor === undefined) {
      if (!optional) missing.push(key);
      continue;
    }
    const value = dtype === "f32" ? rounded(tensor) : tensor;
    const fits = value.dtype === dtype && value.shape.join() === shape.join();
    if (fits) matched.set(key, value);
    else different.push(`${key} is ${describe(tensor)}, expected ${describe({ dtype, shape })}`);
  }
  const unexpected = [...left].filter((key) => options.ignore?.(key) !== true);
  const faults = [
    ...listed("missing", missing),
    ...listed("of another shape or type", different),
    ...listed("unexpected", unexpected),
  ];
  if (faults.length === 0) return matched;
  const below = prefix === "" ? "" : ` (below ${prefix})`;
  throw new CheckpointError(`${options.file}: does not fit the model${below}: ${faults.join("; ")}`, {
    hint: "check that the file and the configuration name the same model; `avseg weights inspect` lists a file",
  });
}

function rounded(tensor: Tensor): Tensor {
  return tensor.dtype === "f64" ? { ...tensor, dtype: "f32", data: Float32Array.from(tensor.data) } : tensor;
}

function listed(what: string, keys: readonly string[]): string[] {
  if (keys.length === 0) return [];
  const few = keys.slice(0, 5).join(", ");
  return [`${keys.length} ${what}: ${few}${keys.length > 5 ? ", ..." : ""}`];
}

/** Bytes that a tensor takes in its file. */
export function storedBytes(info: TensorInfo): number {
  return info.shape.reduce((n, d) => n * d, ELEMENTS[info.type].bytes);
}
