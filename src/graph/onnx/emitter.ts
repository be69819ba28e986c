/**
 * Collects ONNX nodes and initializers while a graph is walked, merging equal nodes
 * (common-subexpression elimination) as they arrive. The writer serialises the result.
 */
import type { DType, Shape, Tensor } from "../../tensor.js";
import type { StoredType } from "./element-type.js";

/** Value of an ONNX attribute; whole numbers and lists of them are INT and INTS unless boxed. */
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

/** A weight whose data is given when the model is serialised or loaded. */
export interface StoredValue {
  readonly name: string;
  readonly dtype: StoredType;
  readonly shape: Shape;
}

/** Which operators the emitted graph may use. */
export interface EmitTarget {
  /** `com.microsoft` operators of the CPU provider (FusedMatMul); not on WebGPU or other runtimes. */
  readonly contrib: boolean;
}

/** What an op's `onnx` rule writes to. */
export class Emitter {
  readonly nodes: OnnxNode[] = [];
  /** Constants stored inside the model, by name. */
  readonly constants = new Map<string, Tensor>();
  readonly target: EmitTarget;
  readonly #merged = new Map<string, readonly string[]>();
  readonly #constantNames = new Map<string, string>();
  #count = 0;

  constructor(target: EmitTarget) {
    this.target = target;
  }

  /** Adds a node with one output and returns its name; an equal node is reused. */
  op(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    domain = "",
  ): string {
    const [name] = this.multi(op, inputs, 1, attributes, domain);
    if (name === undefined) throw new Error(`${op}: no output`);
    return name;
  }

  /** Adds a node with `count` outputs and returns their names; an equal node is reused. */
  multi(
    op: string,
    inputs: readonly string[],
    count: number,
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    domain = "",
  ): readonly string[] {
    const key = JSON.stringify([op, domain, inputs, count, Object.entries(attributes).sort()]);
    const known = this.#merged.get(key);
    if (known !== undefined) return known;
    const outputs = Array.from({ length: count }, (_, i) => `${op}_${this.#count}${i === 0 ? "" : `_${i}`}`);
    this.#count++;
    this.nodes.push({ op, domain, inputs, outputs, attributes });
    this.#merged.set(key, outputs);
    return outputs;
  }

  /** Name of a constant of this content; small equal constants are stored once. */
  constant(t: Tensor): string {
    const key = t.data.length <= 64 ? `${t.dtype}[${t.shape}]${t.data.join(",")}` : undefined;
    const known = key === undefined ? undefined : this.#constantNames.get(key);
    if (known !== undefined) return known;
    const name = `const_${this.constants.size}`;
    this.constants.set(name, t);
    if (key !== undefined) this.#constantNames.set(key, name);
    return name;
  }

  /** Name of a constant `i64` vector: shapes, axes, starts. */
  ints(values: readonly number[]): string {
    return this.constant({
      dtype: "i64",
      shape: [values.length],
      data: BigInt64Array.from(values, (v) => BigInt(v)),
    });
  }

  /** Name of a constant scalar. */
  scalar(value: number): string {
    return this.constant({ dtype: "f32", shape: [], data: Float32Array.of(value) });
  }
}
