/**
 * Collects ONNX nodes and initializers while a graph is walked, and merges equal nodes as they are added
 * (common-subexpression elimination).
 */
import type { DType, Shape, Tensor } from "../../tensor.js";
import type { StoredType } from "./element-type.js";

/** Value of an ONNX attribute, under the name of its type: INT, FLOAT, STRING, INTS or FLOATS. */
export type OnnxAttribute =
  | { readonly i: number }
  | { readonly f: number }
  | { readonly s: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] };

/** A node of the ONNX graph. */
export interface OnnxNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** A graph input or output. */
export interface OnnxValue {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** A weight whose data is passed when the model is serialized or loaded. */
export interface StoredValue {
  readonly name: string;
  readonly dtype: StoredType;
  readonly shape: Shape;
}

/** Which operators the emitted graph may use. */
export interface EmitTarget {
  /** `com.microsoft` operators of ONNX Runtime's CPU kernels, e.g. `FusedMatMul`. */
  readonly contrib: boolean;
}

/** A node to be added. */
export interface EmittedNode {
  readonly op: string;
  readonly inputs: readonly string[];
  /** Default: none. */
  readonly attributes?: OnnxNode["attributes"] | undefined;
  /** Default: ONNX's own operators. */
  readonly domain?: string | undefined;
  /** How many outputs it has. Default: 1. */
  readonly outputs?: number | undefined;
}

/**
 * What an op's `onnx` rule writes to.
 *
 * ```ts
 * onnx: (e, [x], { axis }) => e.op("Softmax", [x], { axis: { i: axis } })
 * ```
 */
export class Emitter {
  readonly nodes: OnnxNode[] = [];
  /** Constants stored inside the model, by name. */
  readonly constants = new Map<string, Tensor>();
  readonly target: EmitTarget;
  readonly #merged = new Map<string, readonly [string, ...string[]]>();
  readonly #constantNames = new Map<string, string>();
  #count = 0;

  constructor(target: EmitTarget) {
    this.target = target;
  }

  /** Adds a node with one output and returns the output's name; an equal node is reused. */
  op(op: string, inputs: readonly string[], attributes: OnnxNode["attributes"] = {}): string {
    return this.node({ op, inputs, attributes })[0];
  }

  /** Adds a node and returns the names of its outputs; an equal node is reused. */
  node({
    op,
    inputs,
    attributes = {},
    domain = "",
    outputs = 1,
  }: EmittedNode): readonly [string, ...string[]] {
    const key = JSON.stringify([op, domain, inputs, outputs, Object.entries(attributes).sort()]);
    const known = this.#merged.get(key);
    if (known !== undefined) return known;
    const first = `${op}_${this.#count++}`;
    const others = Array.from({ length: outputs - 1 }, (_, i) => `${first}_${i + 1}`);
    const names = [first, ...others] as const;
    this.nodes.push({ op, domain, inputs, outputs: names, attributes });
    this.#merged.set(key, names);
    return names;
  }

  /** Adds a constant and returns its name; equal constants of up to 64 elements are stored once. */
  constant(t: Tensor): string {
    const key = t.data.length <= 64 ? `${t.dtype}[${t.shape}]${t.data.join(",")}` : undefined;
    const known = key === undefined ? undefined : this.#constantNames.get(key);
    if (known !== undefined) return known;
    const name = `const_${this.constants.size}`;
    this.constants.set(name, t);
    if (key !== undefined) this.#constantNames.set(key, name);
    return name;
  }

  /** Adds a constant `i64` vector (a shape, axes, starts) and returns its name. */
  ints(values: readonly number[]): string {
    return this.constant({
      dtype: "i64",
      shape: [values.length],
      data: BigInt64Array.from(values, (v) => BigInt(v)),
    });
  }

  /** Adds a constant `f32` scalar and returns its name. */
  scalar(value: number): string {
    return this.constant({ dtype: "f32", shape: [], data: Float32Array.of(value) });
  }
}
