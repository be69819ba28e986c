/** Weights split over several files, as Hugging Face's libraries save large models: an index in JSON and its shards. */
import * as z from "zod";
import { CheckpointError } from "../errors.js";
import { complaintOf, expecting } from "../fields.js";
import type { ByteSource } from "./byte-source.js";

/** Opens the file `name` beside an index for `use`. Throws `CheckpointError`. */
export type ShardOpener = <T>(name: string, use: (source: ByteSource) => Promise<T>) => Promise<T>;

/** No index comes near this; its size is that of its keys. */
const maxIndexBytes = 1 << 26;

const fileName = expecting("the name of a file beside the index", (e) =>
  z
    .string(e)
    .regex(/^[^/\\\0]{1,255}$/, e)
    .refine((name) => name !== ".." && name !== ".", e),
);

const indexSchema = z.looseObject(
  { weight_map: z.record(z.string(), fileName, "an object with the file of every key") },
  "an index of shards",
);

/** Reads an index: the keys that each shard must hold, by its file name. Throws `CheckpointError` when it is malformed. */
export async function readShardIndex(source: ByteSource): Promise<Map<string, string[]>> {
  if (source.size > maxIndexBytes) {
    throw new CheckpointError(
      `${source.name}: an index of ${source.size} bytes, expected ${maxIndexBytes} at most`,
      { hint: "Give a weight file, or the model.safetensors.index.json of a model in several files." },
    );
  }
  const text = new TextDecoder().decode(await source.read(0, source.size));
  const shards = new Map<string, string[]>();
  for (const [key, file] of Object.entries(parseIndex(text, source.name))) {
    const keys = shards.get(file);
    if (keys === undefined) shards.set(file, [key]);
    else keys.push(key);
  }
  return shards;
}

function parseIndex(text: string, file: string): Record<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(`${file}: not valid JSON`, {
      hint: "The file is truncated, damaged or of another format. Get it again.",
      cause,
    });
  }
  const result = indexSchema.safeParse(value);
  if (result.success) return result.data.weight_map;
  const [issue] = result.error.issues;
  throw new CheckpointError(`${file}: not an index of shards${issue ? reasonOf(issue, value) : ""}`, {
    hint: "Give a weight file, or the model.safetensors.index.json of a model in several files.",
  });
}

function reasonOf(issue: z.core.$ZodIssue, value: unknown): string {
  const { path, expected, found } = complaintOf(issue, value);
  return `: expected ${expected}, found ${found}${path.length > 0 ? ` (${path.join(".")})` : ""}`;
}

/** A shard as its reader returns it. */
export interface Shard<F, T> {
  readonly format: F;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, T>;
}

/**
 * Reads the shards of the index `source` with `read` and merges what the index names. Throws `CheckpointError` when the
 * index is malformed, or a shard is missing, damaged or lacks a key.
 */
export async function readShards<F, T>(
  source: ByteSource,
  open: ShardOpener,
  read: (source: ByteSource) => Promise<Shard<F, T>>,
): Promise<Shard<F, T>> {
  const tensors = new Map<string, T>();
  let first: Shard<F, T> | undefined;
  for (const [name, keys] of await readShardIndex(source)) {
    const shard = await open(name, read);
    first ??= shard;
    for (const key of keys) {
      const tensor = shard.tensors.get(key);
      if (tensor === undefined) {
        throw new CheckpointError(`${source.name}: its shard ${name} lacks ${key}`, {
          hint: "The index and its shards belong to different models. Get all of them again.",
        });
      }
      tensors.set(key, tensor);
    }
  }
  if (first !== undefined) return { ...first, tensors };
  throw new CheckpointError(`${source.name}: the index names no shards`, {
    hint: "Get the index again, with the files it belongs to.",
  });
}
