/** Parameters by scope: the path of a scope is the prefix of its state-dict keys. */
import { parameter, type Value } from "../graph/index.js";
import type { Shape, Tensor } from "../tensor.js";
import { type Initializer, initialTensor } from "./init.js";

/** A parameter or buffer: its key in the state dict, its type, and how it starts. */
export interface ParameterSpec {
  readonly key: string;
  readonly shape: Shape;
  readonly dtype: "f32" | "i64";
  readonly init: Initializer;
  /** A buffer (running statistics) is saved but never trained. */
  readonly kind: "parameter" | "buffer";
  /** Exports in 8 bits leave the layer as it is; see `Scope.fullPrecision`. */
  readonly fullPrecision: boolean;
  /** Checkpoints may hold it, and no formula uses it; see `Scope.unused`. */
  readonly unused: boolean;
}

interface Entry {
  readonly spec: ParameterSpec;
  readonly value: Value | undefined;
}

/**
 * A place in the tree of parameters. Layers create their weights through it when they are made, so the state dict of a
 * model is known before any graph is built.
 *
 * ```ts
 * const root = new Scope();
 * const fc = linear(root.at("decoder").at("fc"), 128, 10);
 * root.specs().map(({ key }) => key); // ["decoder.fc.weight", "decoder.fc.bias"]
 * initialState(root.specs(), 1); // their initial values for seed 1
 * ```
 */
export class Scope {
  /** Dotted path from the root; the root's is empty. */
  readonly path: string;
  readonly #entries: Map<string, Entry>;
  readonly #marks: Pick<ParameterSpec, "fullPrecision" | "unused">;

  constructor(
    path = "",
    parent?: Scope,
    marks: Partial<Pick<ParameterSpec, "fullPrecision" | "unused">> = {},
  ) {
    this.path = path;
    this.#entries = parent === undefined ? new Map() : parent.#entries;
    const inherited = parent === undefined ? { fullPrecision: false, unused: false } : parent.#marks;
    this.#marks = { ...inherited, ...marks };
  }

  /** The child scope of a name or index. */
  at(name: string | number): Scope {
    return new Scope(this.#key(String(name)), this);
  }

  /**
   * This scope for layers that exports in 8 bits leave in full precision, here and in all scopes below: those that take
   * little time and are responsible for much of the error.
   */
  fullPrecision(): Scope {
    return new Scope(this.path, this, { fullPrecision: true });
  }

  /**
   * This scope for parameters that published checkpoints hold and no formula uses, here and in all scopes below: they
   * need not be in a file and do not train.
   */
  unused(): Scope {
    return new Scope(this.path, this, { unused: true });
  }

  /** A trainable weight; the same key returns the same value. Throws `Error` if the key exists with another shape. */
  param(name: string, shape: Shape, init: Initializer): Value {
    return this.#enter({ key: this.#key(name), shape, init, kind: "parameter" });
  }

  /** A tensor that is saved with the weights and not trained. */
  buffer(name: string, shape: Shape, init: Initializer): Value {
    return this.#enter({ key: this.#key(name), shape, init, kind: "buffer" });
  }

  /** A buffer that checkpoints have and graphs do not: an integer that starts at zero. */
  counter(name: string): void {
    const key = this.#key(name);
    const spec = {
      key,
      shape: [],
      dtype: "i64",
      init: { kind: "constant", value: 0 },
      kind: "buffer",
      ...this.#marks,
    } as const;
    this.#entries.set(key, { spec, value: undefined });
  }

  /** All parameters and buffers created below this scope, in order. */
  specs(): ParameterSpec[] {
    const prefix = this.path === "" ? "" : `${this.path}.`;
    return [...this.#entries.values()].map((e) => e.spec).filter((s) => s.key.startsWith(prefix));
  }

  /** The values of `specs` by key; counters have none. */
  values(): Map<string, Value> {
    const known = this.specs().map(({ key }) => [key, this.#entries.get(key)?.value] as const);
    return new Map(known.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])));
  }

  #key(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  #enter(parts: Omit<ParameterSpec, "dtype" | "fullPrecision" | "unused">): Value {
    const spec: ParameterSpec = { ...parts, dtype: "f32", ...this.#marks };
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

/** Initial values of all `specs` by key. Each is a function of the seed and its key. */
export function initialState(specs: readonly ParameterSpec[], seed: number): Map<string, Tensor> {
  return new Map(
    specs.map((spec): [string, Tensor] => [
      spec.key,
      spec.dtype === "i64"
        ? { dtype: "i64", shape: spec.shape, data: new BigInt64Array(1) }
        : initialTensor(spec, seed),
    ]),
  );
}
