/** Reference numbers of other published systems, thinned (see `test/reference`). */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { ParameterSpec } from "../src/nn/index.js";
import type { Tensor } from "../src/tensor.js";
import { reference, referencePath, thinned } from "./reference.js";
import { seededInput } from "./support.js";

/** The tensors of a system's reference file, by case. */
export interface ZooReference {
  tensor(key: string): Tensor;
  /** Keys of the tensors of a case. */
  keys(of: string): string[];
  /** Fails unless `actual` agrees with the reference `key` within 1e-4 of the largest value. */
  assertClose(actual: Tensor | undefined, key: string): void;
}

/** Reads the reference file of a system. */
export async function zooReference(name: string): Promise<ZooReference> {
  const { tensor, keys, assertClose } = await reference(name);
  return {
    tensor,
    keys: (of) => keys.filter((key) => key.startsWith(`${of}:`)),
    assertClose: (actual, key) => assertClose(actual, key, 1e-4),
  };
}

/** Keys and shapes of a variant's state dict, apart from encoders that are those of our own models. */
export async function publishedShapes(system: string, name: string): Promise<Record<string, number[]>> {
  const zoo: Record<string, Record<string, Record<string, number[]>>> = JSON.parse(
    await readFile(referencePath("zoo_manifests.json"), "utf8"),
  );
  return zoo[system]?.[name] ?? assert.fail(`${system}: no variant ${name}`);
}

/** Fails unless `specs` are exactly the keys and shapes of a variant of a system; encoders are those of our own models. */
export async function assertPublishedKeys(
  specs: readonly ParameterSpec[],
  variant: {
    readonly system: string;
    readonly name: string;
    readonly prefixes: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const own: Record<string, { state_dict: Record<string, number[]> }> = JSON.parse(
    await readFile(referencePath("manifests.json"), "utf8"),
  );
  const { system, name, prefixes } = variant;
  const expected = await publishedShapes(system, name);
  const encoders = own[name.endsWith("res50") ? "s4_res50" : "s4_pvt2"]?.state_dict ?? {};
  for (const [key, shape] of Object.entries(encoders)) {
    for (const [from, to] of Object.entries(prefixes)) {
      if (key.startsWith(from)) expected[`${to}${key.slice(from.length)}`] = shape;
    }
  }
  assert.deepEqual(
    Object.fromEntries(specs.map((s) => [s.key, [...s.shape]])),
    expected,
    `${system} ${name}`,
  );
}

/** The frames, log-mels and flags of a reference clip. */
export function zooClip(task: "s4" | "avss"): { frames: Tensor; logMel: Tensor; keep: Tensor } {
  const n = task === "avss" ? 10 : 5;
  return {
    frames: seededInput(`${task}_frames`, [n, 3, 224, 224], 2),
    logMel: seededInput(`${task}_log_mel`, [n, 1, 96, 64], 3),
    keep: { dtype: "f32", shape: [n], data: Float32Array.from({ length: n }, (_, i) => (i < 7 ? 1 : 0)) },
  };
}

/** Pixels whose most likely class is not the reference's: logits `[N,K,H,W]`, classes `u8[N,h,w]` thinned by `steps`. */
export function classesThatDiffer(logits: Tensor, classes: Tensor, steps: readonly number[]): number {
  const [frames = 0, count = 0, height = 0, width = 0] = logits.shape;
  const found = new Uint8Array(frames * height * width);
  const pixels = height * width;
  for (let i = 0; i < found.length; i++) {
    const frame = Math.floor(i / pixels);
    const at = (k: number) => Number(logits.data[(frame * count + k) * pixels + (i % pixels)]);
    let best = 0;
    for (let k = 1; k < count; k++) if (at(k) > at(best)) best = k;
    found[i] = best;
  }
  const own = thinned({ data: found, shape: [frames, height, width] }, steps);
  assert.equal(own.length, classes.data.length);
  return own.filter((k, i) => k !== Number(classes.data[i])).length;
}
