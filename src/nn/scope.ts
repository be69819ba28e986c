/** Parameters by scope: the path of a scope is the prefix of its state-dict keys. */
import { parameter, type Value } from "../graph/index.js";
import type { Shape, Tensor } from "../tensor.js";
import { type Initializer, initialTensor } from "./init.js";

/** What a state dict holds under one key. */
export interface ParameterSpec {
  readonly key: string;
  readonly shape: Shape;
  readonly dtype: "f32" | "i64";
  readonly init: Initializer;
  /** A buffer (running statistics) is saved but never trained. */
  readonly kind: "parameter" | "buffer";
}

interface Entry {
  readonly spec: ParameterSpec;
  readonly value: Value | undefined;
}

/**
 * A place in the tree of parameters. Layers ask it for their weights when they are made, so a model's
 * state dict is known before any graph is built.
 *
 *     const fuser = new Scope().at("bridger").at("Fusers").at(0);
 *     fuser.param("vis_out.weight", [64, 128], torchDefault(128)); // bridger.Fusers.0.vis_out.weight
 */
export class Scope {
  /** Dotted path from the root; empty there. */
  readonly path: string;
  readonly #entries: Map<string, Entry>;

  constructor(path = "", parent?: Scope) {
    this.path = path;
    this.#entries = parent === undefined ? new Map() : parent.#entries;
  }

  /** The scope below, by name or index. */
  at(name: string | number): Scope {
    return new Scope(this.#key(String(name)), this);
  }

  /** A trainable weight; the same key gives the same value. Throws `Error` if its shape differs from before. */
  param(name: string, shape: Shape, init: Initializer): Value {
    return this.#enter({ key: this.#key(name), shape, dtype: "f32", init, kind: "parameter" });
  }

  /** A tensor that is saved with the weights and not trained. */
  buffer(name: string, shape: Shape, init: Initializer): Value {
    return this.#enter({ key: this.#key(name), shape, dtype: "f32", init, kind: "buffer" });
  }

  /** A buffer that checkpoints have and graphs do not: a whole number, zero at first. */
  counter(name: string): void {
    const key = this.#key(name);
    const spec = {
      key,
      shape: [],
      dtype: "i64",
      init: { kind: "constant", value: 0 },
      kind: "buffer",
    } as const;
    this.#entries.set(key, { spec, value: undefined });
  }

  /** Everything asked for below this scope so far, in order. */
  specs(): ParameterSpec[] {
    const prefix = this.path === "" ? "" : `${this.path}.`;
    return [...this.#entries.values()].map((e) => e.spec).filter((s) => s.key.startsWith(prefix));
  }

  /** The values behind `specs` by key; counters have none. */
  values(): Map<string, Value> {
    const known = this.specs().map(({ key }) => [key, this.#entries.get(key)?.value] as const);
    return new Map(known.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])));
  }

  #key(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  #enter(spec: ParameterSpec): Value {
    const known = this.#entries.get(spec.key);
    if (known?.value !== undefined) {
      if (known.spec.shape.join() !== spec.shape.join()) {
        throw new Error(`scope: "${spec.key}" is both [${known.spec.shape}] and [${spec.shape}]`);
      }
      return known.value;
    }
    const value = parameter(spec.key, spec.shape);
    this.#entries.set(spec.key, { spec, value });
    return value;
  }
}

/** Initial values of all `specs`: a function of the seed and each key. */
export function initialState(specs: readonly ParameterSpec[], seed: number): Map<string, Tensor> {
  return new Map(
    specs.map((spec): [string, Tensor] => [
      spec.key,
      spec.dtype === "i64"
        ? { dtype: "i64", shape: spec.shape, data: new BigInt64Array(1) }
        : initialTensor(spec.key, spec.shape, spec.init, seed),
    ]),
  );
}
