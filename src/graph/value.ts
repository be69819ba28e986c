/**
 * Symbolic tensors. A `Value` is one output of a node; a graph is the nodes that its outputs depend on.
 * Shapes are static: every op infers the shape of its output when it is applied, so a mistake is
 * reported at the line that makes it.
 */
import type { DType, Shape } from "../tensor.js";
import type { Emitter } from "./onnx/emitter.js";

/** A symbolic tensor of static shape. */
export interface Value {
  /** Creation order; the inputs of a node always have smaller numbers than its outputs. */
  readonly id: number;
  readonly node: GraphNode;
  /** Which of the node's outputs this is. */
  readonly index: number;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Attributes of an op: plain data that its rules read. */
export type Attrs = Readonly<Record<string, unknown>>;

/** Shape and dtype of one output. */
export interface ValueType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** One gradient per input: `null` for an input that has none; a function is called only if its input needs a gradient. */
export type Gradients = readonly (Value | (() => Value) | null)[];

/** What a node is made of. The op's typed rules are bound when the op is applied. */
export interface NodeParts {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly attrs: Attrs;
  /** Types of the outputs, from those of the inputs. The verifier calls it again and compares. */
  readonly infer: () => readonly [ValueType, ...ValueType[]];
  /** Vector-Jacobian product for the gradient of the first output, or `"none"` for an op without a gradient. */
  readonly vjp: "none" | ((gradient: Value) => Gradients);
  /** Adds the ONNX form and returns the names of the outputs. */
  readonly emit: (e: Emitter, inputs: readonly string[]) => readonly string[];
}

let nextId = 0;

/** One application of an op; only `defineOp` and the leaves make nodes. */
export class GraphNode implements NodeParts {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly attrs: Attrs;
  readonly infer: NodeParts["infer"];
  readonly vjp: NodeParts["vjp"];
  readonly emit: NodeParts["emit"];
  /** The output that users of the op see and that is differentiated, then what the op's gradient needs besides. */
  readonly outputs: readonly [Value, ...Value[]];

  constructor({ op, inputs, attrs, infer, vjp, emit }: NodeParts) {
    this.op = op;
    this.inputs = inputs;
    this.attrs = attrs;
    this.infer = infer;
    this.vjp = vjp;
    this.emit = emit;
    const output = ({ shape, dtype }: ValueType, index: number): Value => {
      return { id: nextId++, node: this, index, dtype, shape };
    };
    const [first, ...others] = infer();
    this.outputs = [output(first, 0), ...others.map((type, i) => output(type, i + 1))];
  }
}

/**
 * Every node that `outputs` depend on, inputs before users, in order of creation. The walk stops at nodes with an
 * output in `known`.
 */
export function topologicalOrder(
  outputs: readonly Value[],
  known?: { has(v: Value): boolean } | undefined,
): GraphNode[] {
  const visited = new Set<GraphNode>();
  const stack = outputs.map((v) => v.node);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (visited.has(node)) continue;
    visited.add(node);
    if (known !== undefined && node.outputs.some((y) => known.has(y))) continue;
    for (const v of node.inputs) if (!visited.has(v.node)) stack.push(v.node);
  }
  return [...visited].sort((a, b) => a.outputs[0].id - b.outputs[0].id);
}
