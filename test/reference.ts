/** The committed reference data, `test/reference` (see its README). A file that is missing fails the test. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import { type Shape, sizeOf, type Tensor, type TensorOf } from "../src/tensor.js";
import { loadSafetensors } from "../src/weights/node/safetensors-file.js";
import { relativeError, root } from "./support.js";

/** Path of a file or folder of the reference data. Throws when it is missing. */
export function referencePath(...parts: string[]): string {
  const file = path.join(root, "test", "reference", ...parts);
  if (!existsSync(file)) {
    throw new Error(
      `${file}: reference data is missing. Restore it from git, or run tools/reference/generate.py`,
    );
  }
  return file;
}

/** What is stored of a tensor: every `stride`-th element of the flat tensor, or every `steps[i]`-th of axis i. */
const sampledSchema = z.record(
  z.string(),
  z.strictObject({ shape: z.array(z.int()), stride: z.int(), largest: z.number() }),
);
const stepsSchema = z.record(z.string(), z.array(z.int()));

/** The tensors of a reference file. Some are sampled: only some of their elements are stored. */
export interface Reference {
  readonly keys: readonly string[];
  /** What is stored of a tensor. Throws when there is no such tensor. */
  tensor(key: string): Tensor;
  /** What is stored of an `f32` tensor. Throws when there is no such tensor. */
  floats(key: string): TensorOf<"f32">["data"];
  /** The distance of the stored elements in the flat tensor, 1 where all are stored. */
  stride(key: string): number;
  /** The elements of a tensor, which has the shape of the reference `key`, that the reference stores. */
  sample(actual: Tensor, key: string): number[];
  /** Fails unless `actual` agrees with the stored elements within `tolerance` times the largest value of all elements. */
  assertClose(actual: Tensor | undefined, key: string, tolerance: number): void;
}

/** Reads `<name>.safetensors` of the reference data. Throws when it is missing. */
export async function reference(name: string): Promise<Reference> {
  const { tensors, metadata } = await loadSafetensors(referencePath(`${name}.safetensors`));
  const sampled = sampledSchema.parse(JSON.parse(metadata.sampled ?? "{}"));
  const steps = stepsSchema.parse(JSON.parse(metadata.steps ?? "{}"));
  const tensor = (key: string): Tensor => tensors.get(key) ?? assert.fail(`${name}: no tensor ${key}`);
  const sample = (actual: Tensor, key: string): number[] => {
    const step = steps[key];
    if (step) return thinned(actual, step);
    const { shape, stride } = sampled[key] ?? { shape: tensor(key).shape, stride: 1 };
    assert.deepEqual(actual.shape, shape, `${name}: shape of ${key}`);
    return everyNth(actual.data, stride);
  };
  return {
    keys: [...tensors.keys()],
    tensor,
    floats(key) {
      const t = tensor(key);
      return t.dtype === "f32" ? t.data : assert.fail(`${name}: ${key} is ${t.dtype}, expected f32`);
    },
    stride: (key) => sampled[key]?.stride ?? 1,
    sample,
    assertClose(actual, key, tolerance) {
      assert.ok(actual, `${name}: nothing to compare with ${key}`);
      const expected = Array.from<number | bigint, number>(tensor(key).data, Number);
      const error = relativeError(sample(actual, key), expected, sampled[key]?.largest);
      assert.ok(error <= tolerance, `${name}: ${key}: relative error ${error}, allowed ${tolerance}`);
    },
  };
}

function everyNth(data: Tensor["data"], stride: number): number[] {
  return Array.from({ length: Math.ceil(data.length / stride) }, (_, i) => Number(data[i * stride]));
}

/** Every `steps[i]`-th element of axis `i`. */
export function thinned(
  { data, shape }: { data: Tensor["data"]; shape: Shape },
  steps: readonly number[],
): number[] {
  const out: number[] = [];
  const walk = (axis: number, offset: number): void => {
    const size = shape[axis];
    if (size === undefined) {
      out.push(Number(data[offset]));
      return;
    }
    const stride = sizeOf(shape.slice(axis + 1));
    for (let i = 0; i < size; i += steps[axis] ?? 1) walk(axis + 1, offset + i * stride);
  };
  walk(0, 0);
  return out;
}
