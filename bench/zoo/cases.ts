/**
 * The cases of a folder of reference numbers of other published systems, each with the outputs that its files hold. A
 * model is inferred from the published keys and shapes of `manifest.json`, as that of a checkpoint is. Weights and inputs are
 * functions of their names (`test/reference/README.md`).
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { input, type Value } from "../../src/graph/index.js";
import { inferModelConfig } from "../../src/inference/infer-config.js";
import type { AvsModelConfig } from "../../src/models/model-config.js";
import type { Shape, Tensor } from "../../src/tensor.js";

/** One clip of one model, and what its files hold. */
export interface ZooCase {
  /** Files below the folder whose tensors are compared. */
  readonly files: readonly string[];
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** By the keys in the files, without `_every_...`. */
  readonly outputs: Readonly<Record<string, Value>>;
  /** Allowed difference over the largest value, by key. */
  tolerance(key: string): number;
  /**
   * The decisions that an output depends on, by key: in a frame where one falls otherwise, the output is another one.
   * Default: none.
   */
  readonly decisions?: ((key: string) => readonly string[]) | undefined;
}

const manifestSchema = z.record(z.string(), z.unknown());
const shapesSchema = z.record(z.string(), z.array(z.number()));
const variantSchema = z.looseObject({ state_dict: shapesSchema });

/** The variants that a system's `manifest.json` in the folder `zoo` lists, with keys and shapes. */
export async function publishedVariants(
  zoo: string,
  system: string,
): Promise<Map<string, Map<string, Shape>>> {
  const text = await readFile(path.join(zoo, system, "manifest.json"), "utf8");
  const manifest = manifestSchema.parse(JSON.parse(text));
  const found = new Map<string, Map<string, Shape>>();
  if (system === "denseav") {
    const adapted = new Map(Object.entries(shapesSchema.parse(manifest.state_dict)));
    const others = [...adapted].filter(([key]) => !key.startsWith("image_model."));
    const plain = Object.entries(shapesSchema.parse(manifest.state_dict_without_image_lora));
    return found.set("with_adapters", adapted).set("sound", new Map<string, Shape>([...others, ...plain]));
  }
  for (const [variant, value] of Object.entries(manifest)) {
    const { data } = variantSchema.safeParse(value);
    if (data) found.set(variant, new Map(Object.entries(data.state_dict)));
  }
  return found;
}

/** The configuration of a published variant, inferred from its keys and shapes. */
export async function inferredConfig(
  zoo: string,
  { system, variant, imageSize }: { system: string; variant: string; imageSize?: number | undefined },
): Promise<AvsModelConfig> {
  const shapes = (await publishedVariants(zoo, system)).get(variant);
  if (shapes === undefined) throw new RangeError(`${system}: no variant ${variant} in manifest.json`);
  return inferModelConfig(shapes, `${system}/${variant}`, { imageSize });
}

/** `values` by `name1`, `name2` and so on, followed by `suffix`; those that are `undefined` are left out. */
export function numbered(
  name: string,
  values: readonly (Value | undefined)[],
  suffix = "",
): Record<string, Value> {
  return Object.fromEntries(
    values.flatMap((value, i) => (value ? [[`${name}${i + 1}${suffix}`, value] as const] : [])),
  );
}

/** The feed called `key`. Throws `RangeError` if the case has no such feed. */
export function feedOf(feeds: ZooCase["feeds"], key: string): Tensor {
  const tensor = feeds[key];
  if (tensor === undefined) throw new RangeError(`no input ${key}`);
  return tensor;
}

/** The graph's input for the feed called `key`. Throws as `feedOf`. */
export function inputOf(feeds: ZooCase["feeds"], key: string): Value {
  const { shape, dtype } = feedOf(feeds, key);
  return input(key, shape, dtype);
}
