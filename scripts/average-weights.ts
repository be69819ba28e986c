/**
 * `node dist/scripts/average-weights.js A B OUT`: the mean of two checkpoints of `avseg train` of the same model, with what
 * the second says about its run; stored as halves. B was trained on from A: their mean did better on other sources than both.
 */
import { f32At } from "../src/arrays.js";
import type { Tensor } from "../src/tensor.js";
import { loadStateDict } from "../src/weights/node/load.js";
import { writeSafetensors } from "../src/weights/node/safetensors-file.js";

const [a, b, out] = process.argv.slice(2);
if (a === undefined || b === undefined || out === undefined) throw new Error("expected three files: A B OUT");
const [first, second] = [await loadStateDict(a), await loadStateDict(b)];
const mean = [...second.tensors].map(([key, tensor]): [string, Tensor] => {
  const other = first.tensors.get(key)?.data;
  const { data } = tensor;
  if (!(data instanceof Float32Array)) return [key, tensor];
  if (!(other instanceof Float32Array) || other.length !== data.length) {
    throw new Error(`${a}: ${key} is missing or has another size than in ${b}`);
  }
  return [
    key,
    { dtype: "f32", shape: tensor.shape, data: data.map((x, i) => 0.5 * x + 0.5 * f32At(other, i)) },
  ];
});
await writeSafetensors(out, new Map(mean), { metadata: second.metadata, dtype: "f16" });
