/**
 * Symbolic tensors. A `Value` is one output of a `Node`; a graph is whatever its outputs reach.
 * Shapes are static: every op infers its output shape when it is applied, so a mistake is
 * reported at the line that makes it.
 */
import type { DType, Shape } from "../tensor.js";
import type { Emitter } from "./onnx/emitter.js";

/** A symbolic tensor of static shape. */
export interface Value {
  /** Creation order; a node's inputs always have smaller numbers than its outputs. */
  readonly id: number;
  readonly node: Node;
  /** Which of the node's outputs this is. */
  readonly index: number;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Attributes of an op: plain data, so that equal nodes can be recognised. */
export type Attrs = Readonly<Record<string, unknown>>;

/** Shape and dtype of one output. */
export interface ValueType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Gradients by input: absent where the op has none; a function is called only if it is needed. */
export type Gradients = readonly (Value | (() => Value) | null)[];

/** One application of an op. The op's typed rules are bound when it is applied. */
export interface Node {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly attrs: Attrs;
  readonly outputs: readonly Value[];
  /** Output types from the inputs' types, again: what the verifier compares. */
  readonly infer: () => readonly ValueType[];
  /** Vector-Jacobian product, or `"none"` for an op without a gradient. */
  readonly vjp: "none" | ((gradients: readonly (Value | undefined)[]) => Gradients);
  /** Adds the ONNX form and returns the names of the outputs. */
  readonly emit: (e: Emitter, inputs: readonly string[]) => readonly string[];
}

let nextId = 0;

/** Makes a node and its outputs; only `defineOp` and the leaves call this. */
export function makeNode(parts: Omit<Node, "outputs">): Node {
  const outputs: Value[] = [];
  const node: Node = { ...parts, outputs };
  parts.infer().forEach(({ shape, dtype }, index) => {
    outputs.push({ id: nextId++, node, index, dtype, shape });
  });
  return node;
}

/** The only output of a single-output node. */
export function onlyOutput(node: Node): Value {
  const [y] = node.outputs;
  if (y === undefined || node.outputs.length !== 1) {
    throw new Error(`${node.op}: expected one output, found ${node.outputs.length}`);
  }
  return y;
}

/**
 * Every node that `outputs` reach, inputs before users, in order of creation. The walk does not go beyond nodes
 * with an output in `known`.
 */
export function reachable(outputs: readonly Value[], known?: { has(v: Value): boolean }): Node[] {
  const seen = new Set<Node>();
  const stack = outputs.map((v) => v.node);
  while (stack.length > 0) {
    const node = stack.pop();
    if (node === undefined || seen.has(node)) continue;
    seen.add(node);
    if (known !== undefined && node.outputs.some((y) => known.has(y))) continue;
    for (const v of node.inputs) if (!seen.has(v.node)) stack.push(v.node);
  }
  const order = (n: Node) => n.outputs[0]?.id ?? 0;
  return [...seen].sort((a, b) => order(a) - order(b));
}
