/** From any weight file to parameters by key, and from these to the parameters that a model expects. */
import { CheckpointError } from "../errors.js";
import { type DType, describe, type Shape, type StateDict, type Tensor } from "../tensor.js";
import type { ByteSource, ReadOptions } from "./byte-source.js";
import { type Container, detectContainer } from "./detect.js";
import { ELEMENTS, type ElementType } from "./elements.js";
import { withoutWrappers } from "./key-forms.js";
import { closestLayoutNote } from "./key-layouts.js";
import { readSafetensors, readSafetensorsHeader } from "./safetensors.js";
import { readShards, type ShardOpener } from "./shards.js";
import type { TorchFormat } from "./torch/reader.js";
import { listTorchState, readTorchState } from "./torch/state-dict.js";

/** The formats, recognized by content. */
export type WeightFormat = "safetensors" | TorchFormat;

/** What is known of a tensor without reading it. */
export interface TensorInfo {
  /** As stored; see `ELEMENTS` for what it is read as. */
  readonly type: ElementType;
  readonly shape: Shape;
}

/** A weight file by key, each tensor as `T`. */
interface Weights<T> {
  /** Of sharded weights, that of the shards. */
  readonly format: WeightFormat;
  /** Of safetensors the metadata, of torch the plain values beside the tensors (`epoch`, ...), as text. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, T>;
}

/** The content of a weight file by key, without its data. */
export type WeightListing = Weights<TensorInfo>;

/** The content of a weight file. */
export type LoadedStateDict = Weights<Tensor>;

/** How weights in several files are read. */
export interface ShardOptions {
  /** Opens a shard of an index. Default: an index is refused. */
  readonly openShard?: ShardOpener | undefined;
}

/** Lists a weight file. Throws `CheckpointError` when it is damaged, foreign or holds no tensors. */
export function listWeights(source: ByteSource, { openShard }: ShardOptions = {}): Promise<WeightListing> {
  return readWeights<TensorInfo>(source, openShard, async (file, container) => {
    if (container !== "safetensors") return listTorchState(file);
    const { metadata, entries } = await readSafetensorsHeader(file);
    return { format: "safetensors", metadata, tensors: entries };
  });
}

/**
 * Reads weights: safetensors or torch (zip, legacy, a pickled dictionary of tensors), recognized by content, or
 * the index of several such files. Nests (`state_dict`, `model`, ...) are opened, and what wrappers add to keys is
 * removed (see `withoutWrappers`). Throws `CheckpointError` when a file is damaged, foreign or holds no tensors.
 */
export function readStateDict(
  source: ByteSource,
  { openShard, ...options }: ReadOptions & ShardOptions = {},
): Promise<LoadedStateDict> {
  return readWeights<Tensor>(source, openShard, async (file, container) => {
    if (container !== "safetensors") return readTorchState(file, options);
    return { format: "safetensors", ...(await readSafetensors(file, options)) };
  });
}

type ReadOne<T> = (source: ByteSource, container: Exclude<Container, "shards">) => Promise<Weights<T>>;

async function readWeights<T>(
  source: ByteSource,
  open: ShardOpener | undefined,
  readOne: ReadOne<T>,
): Promise<Weights<T>> {
  const container = await detectContainer(source);
  const weights =
    container === "shards" ? await readSharded(source, open, readOne) : await readOne(source, container);
  if (weights.tensors.size > 0) return { ...weights, tensors: withoutWrappers(weights.tensors) };
  throw new CheckpointError(`${source.name}: expected parameters, found a file without any`, {
    hint: "Get the file again, or from another source.",
  });
}

async function readSharded<T>(
  source: ByteSource,
  open: ShardOpener | undefined,
  readOne: ReadOne<T>,
): Promise<Weights<T>> {
  if (open === undefined) {
    throw new CheckpointError(`${source.name}: an index of weights in several files, expected one file`, {
      hint: "Convert it to one file with `avseg weights convert`.",
    });
  }
  return readShards(source, open, async (shard) => {
    const container = await detectContainer(shard);
    if (container !== "shards") return readOne(shard, container);
    throw new CheckpointError(`${shard.name}: an index of shards, expected a shard`, {
      hint: "The index is damaged. Get it again.",
    });
  });
}

/** A parameter that a model needs. */
export interface ExpectedParameter {
  readonly key: string;
  readonly shape: Shape;
  /** Default: `f32`. */
  readonly dtype?: DType | undefined;
  /** May be missing (`num_batches_tracked` in files of old versions of PyTorch). */
  readonly optional?: boolean | undefined;
}

/** How the keys of a file are compared with the expected ones. */
export interface MatchOptions {
  /** Names the file in messages. */
  readonly file: string;
  /** Uses only keys with this prefix, and removes it: `visual_encoder.` takes the encoder out of a model. Default: none. */
  readonly prefix?: string | undefined;
  /** Keys (without the prefix) that are ignored if they are not expected, e.g. a classifier's `head.`. Default: none. */
  readonly ignore?: ((key: string) => boolean) | undefined;
}

/**
 * The expected parameters out of `found`, in the expected order; doubles are rounded to floats where those are expected.
 * Throws `CheckpointError` with the number and the first few of the missing, unexpected and mis-shaped keys.
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
  const note = closestLayoutNote(found.keys());
  throw new CheckpointError(`${options.file}: does not fit the model${below}: ${faults.join("; ")}${note}`, {
    hint: "Check that the file and the configuration name the same model. `avseg weights inspect` lists a file.",
  });
}

function rounded(tensor: Tensor): Tensor {
  return tensor.dtype === "f64" ? { ...tensor, dtype: "f32", data: Float32Array.from(tensor.data) } : tensor;
}

function listed(what: string, keys: readonly string[]): string[] {
  if (keys.length === 0) return [];
  const shown = keys.slice(0, 5).join(", ");
  return [`${keys.length} ${what}: ${shown}${keys.length > 5 ? ", ..." : ""}`];
}

/** Bytes that a tensor takes in its file. */
export function storedBytes(info: TensorInfo): number {
  return info.shape.reduce((n, d) => n * d, ELEMENTS[info.type].bytes);
}
