/** Converts any readable weight file to safetensors. */
import { CheckpointError } from "../../errors.js";
import type { ReadOptions } from "../byte-source.js";
import type { Metadata } from "../checkpoint.js";
import { loadStateDict } from "./load.js";
import { writeSafetensors } from "./safetensors-file.js";

/** Options of `convertWeights`. */
export interface ConvertOptions extends ReadOptions {
  /** `f16` stores floats as halves; `f32`, the default, keeps them. */
  dtype?: "f32" | "f16" | undefined;
  /** What the new file says about itself, made of what the old one says. Default: the same. */
  describe?: ((metadata: Metadata) => Metadata) | undefined;
}

/**
 * Converts `from` (torch or safetensors) to the safetensors file `to`, metadata included. Doubles stay doubles.
 * Throws `CheckpointError` when `from` cannot be read, or holds values too large for halves; `OutputError`; what `describe`
 * throws.
 */
export async function convertWeights(
  from: string,
  to: string,
  options: ConvertOptions = {},
): Promise<{ tensors: number }> {
  if (!/\.safetensors$/i.test(to)) {
    throw new CheckpointError(`cannot write ${to}: weights are written as safetensors only`, {
      hint: "Give a name that ends in .safetensors.",
    });
  }
  const { dtype = "f32", describe = (same) => same, signal } = options;
  const { tensors, metadata } = await loadStateDict(from, options);
  await writeSafetensors(to, tensors, { metadata: describe(metadata), dtype, signal });
  return { tensors: tensors.size };
}
