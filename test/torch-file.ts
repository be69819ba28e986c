/** Whole checkpoints as `torch.save` writes them. */
import type { StateDict } from "../src/tensor.js";
import { dict, pickle, string, tensor } from "./pickle-writer.js";
import { zip } from "./zip-writer.js";

/** A zip file of a state dict of floats, one storage per tensor. Other tensors are left out. */
export function torchFile(state: StateDict): Buffer {
  const floats = [...state].flatMap(([key, { dtype, shape, data }]) =>
    dtype === "f32" ? [{ key, shape, data }] : [],
  );
  const entries = floats.flatMap(({ key, shape, data }, i) => {
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((n, d) => n * d, 1));
    return [string(key), tensor(String(i), data.length, [...shape], strides)];
  });
  const storages = floats.map(({ data }, i): [string, Uint8Array] => [
    `archive/data/${i}`,
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ]);
  return zip({ "archive/data.pkl": pickle(dict(...entries)), ...Object.fromEntries(storages) });
}
