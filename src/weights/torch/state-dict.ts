/** The parameters in a PyTorch checkpoint: which of its dictionaries is the state dict. */
import { CheckpointError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import type { ByteSource, ReadOptions } from "../byte-source.js";
import { TorchTensor } from "./objects.js";
import type { PickleValue } from "./pickle.js";
import { checkMemory, loadTorchTensors, readTorch, type TorchFormat } from "./reader.js";

/** A checkpoint by key, each tensor as `T`. */
interface TorchState<T> {
  readonly format: TorchFormat;
  /** The plain values beside the tensors (`epoch`, ...), as text. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, T>;
}

/** Keys under which training scripts put a model's parameters, in the order of preference. */
const nestNames = [
  "state_dict",
  "model_state_dict",
  "model_state",
  "model",
  "module",
  "net",
  "params",
  "weights",
];

/** Lists the parameters of a checkpoint. Throws `CheckpointError` when it is damaged or foreign. */
export async function listTorchState(source: ByteSource): Promise<TorchState<TorchTensor>> {
  const { root, format } = await readTorch(source);
  const metadata: Record<string, string> = {};
  const tensors = collect(root, metadata);
  if (tensors !== undefined) return { format, metadata, tensors };
  throw new CheckpointError(`${source.name}: no parameters found in ${kindOf(root)}${keysOf(root)}`, {
    hint: `Give a file with a dictionary of tensors, itself or under one of ${nestNames.join(", ")}.`,
  });
}

/** Reads the parameters of a checkpoint. Throws `CheckpointError` when it is damaged or foreign. */
export async function readTorchState(source: ByteSource, options: ReadOptions): Promise<TorchState<Tensor>> {
  const { tensors, ...state } = await listTorchState(source);
  return { ...state, tensors: await loadTorchTensors(source, tensors, options) };
}

/** Reads the one tensor that a torch file holds, e.g. a pickled log-mel. Throws `CheckpointError` otherwise. */
export async function readTorchTensor(source: ByteSource): Promise<Tensor> {
  const { root } = await readTorch(source);
  if (!(root instanceof TorchTensor)) {
    throw new CheckpointError(`${source.name}: expected a single tensor, found ${kindOf(root)}`, {
      hint: "Give a file that torch.save or pickle wrote of one tensor.",
    });
  }
  checkMemory(source, [["the tensor", root]]);
  return root.load();
}

/**
 * Tensors by key of the first dictionary that has any, also where the file holds a tuple of such dictionaries; plain values on the way go to `metadata`. Nests come before
 * their siblings, where training scripts keep the state of random generators. Each dictionary is opened once, because
 * the dictionaries of a pickle may contain themselves, or one another many times over.
 */
function collect(root: PickleValue, metadata: Record<string, string>): Map<string, TorchTensor> | undefined {
  const opened = new Set<PickleValue>();
  /** Values to open, and below the nests of each opened dictionary its tensors. */
  const pending: { value: PickleValue; tensors?: Map<string, TorchTensor> }[] = [{ value: root }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { value, tensors } = next;
    if (tensors !== undefined) {
      if (tensors.size > 0) return tensors;
    } else if (value instanceof Map && !opened.has(value)) {
      opened.add(value);
      pending.push({ value, tensors: tensorsOf(value, metadata) });
      for (const name of nestNames.toReversed()) pending.push({ value: value.get(name) ?? null });
    } else if (value === root && Array.isArray(value)) {
      for (const element of value.toReversed()) pending.push({ value: element });
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

function kindOf(value: PickleValue): string {
  if (value instanceof Map) return "a dictionary";
  if (value instanceof TorchTensor) return "a single tensor";
  return Array.isArray(value) ? "a list" : "an object that is not a dictionary";
}

/** The first names in a dictionary, shortened. Other keys are not shown: they may be nests that unfold without end. */
function keysOf(value: PickleValue): string {
  const names = value instanceof Map ? [...value.keys()].filter((key) => typeof key === "string") : [];
  if (names.length === 0) return "";
  const few = names.slice(0, 8).map((name) => (name.length > 60 ? `${name.slice(0, 57)}...` : name));
  return ` with the keys ${few.join(", ")}`;
}
