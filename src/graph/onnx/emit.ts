/** From outputs to an ONNX graph: walks the values once and collects the graph's parts. */
import type { Shape, StateDict } from "../../tensor.js";
import { parameterName } from "../ops/leaves.js";
import { type GraphNode, topologicalOrder, type Value } from "../value.js";
import { verify } from "../verify.js";
import { type EmitTarget, Emitter, type OnnxNode, type OnnxValue, type StoredValue } from "./emitter.js";

/** An ONNX graph before serialization. */
export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Tensors stored inside the model. */
  readonly constants: StateDict;
  /** Frozen parameters. Their data is passed when the model is serialized or loaded. */
  readonly parameters: readonly StoredValue[];
  /** Shapes of all values by name. */
  readonly shapes: ReadonlyMap<string, Shape>;
}

/**
 * Emits a node in another form than its op's own and returns the names of its outputs; `undefined` leaves it as it is.
 * `nameOf` names every value that the node depends on.
 */
export type NodeForm = (
  node: GraphNode,
  emitter: Emitter,
  nameOf: (v: Value) => string,
) => readonly string[] | undefined;

/** Options of `emitOnnx`. */
export interface EmitOptions {
  /** Parameters (by key) that become inputs of every run instead of being frozen into the model. Default: none. */
  readonly asInputs?: ReadonlySet<string> | undefined;
  /** Operators that the graph may use. Default: those of the ONNX standard, which every runtime has. */
  readonly target?: EmitTarget | undefined;
  /** Values computed ahead of time (see `constantValues`): emitted as parameters of these names. Default: none. */
  readonly precomputed?: ReadonlyMap<Value, string> | undefined;
  /** Other forms of nodes, e.g. in 8 bits. Default: every op's own. */
  readonly form?: NodeForm | undefined;
}

/**
 * Emits the graph of `outputs`, named by their keys. Only what the outputs depend on is visited; equal nodes are merged.
 *
 * ```ts
 * const x = input("x", [8, 2]);
 * const y = relu(affine(x, parameter("fc.weight", [4, 2])));
 * const graph = emitOnnx({ y }); // one input "x", one frozen parameter "fc.weight", one output "y"
 * const trainable = emitOnnx({ y }, { asInputs: new Set(["fc.weight"]) }); // both are inputs of every run
 * ```
 *
 * @throws `Error` from the verifier, or when two inputs of different types share a name.
 */
export function emitOnnx(outputs: Readonly<Record<string, Value>>, options: EmitOptions = {}): OnnxGraph {
  const { asInputs = new Set(), target = { contrib: false }, precomputed = new Map(), form } = options;
  const values = Object.values(outputs);
  verify(values);
  const emitter = new Emitter(target);
  const names = new Map<Value, string>();
  const nameOf = (v: Value): string => names.get(v) ?? missing(v);
  const inputs = new Map<string, OnnxValue>();
  const parameters = new Map<string, StoredValue>();
  for (const node of topologicalOrder(values, precomputed)) {
    if (node.outputs.some((y) => precomputed.has(y))) {
      for (const y of node.outputs) {
        const name = precomputed.get(y);
        if (name === undefined) continue;
        names.set(y, name);
        parameters.set(name, { name, dtype: y.dtype, shape: y.shape });
      }
      continue;
    }
    const produced = form?.(node, emitter, nameOf) ?? node.emit(emitter, node.inputs.map(nameOf));
    node.outputs.forEach((y, i) => {
      names.set(y, produced[i] ?? missing(y));
    });
    if (node.op === "input" || node.op === "parameter") {
      const [leaf] = node.outputs;
      const name = parameterName(leaf);
      const isInput = node.op === "input" || asInputs.has(name);
      (isInput ? inputs : parameters).set(name, { name, dtype: leaf.dtype, shape: leaf.shape });
    }
  }
  return {
    ...publish(emitter.nodes, outputs, names),
    inputs: [...inputs.values()],
    constants: emitter.constants,
    parameters: [...parameters.values()],
  };
}

function missing(v: Value): never {
  throw new Error(`graph: ${v.node.op} output ${v.index} was used before it was emitted`);
}

/** Gives outputs their public names: renames the node output where possible, copies where not. */
function publish(
  nodes: readonly OnnxNode[],
  outputs: Readonly<Record<string, Value>>,
  names: ReadonlyMap<Value, string>,
): Pick<OnnxGraph, "nodes" | "outputs" | "shapes"> {
  const produced = new Set(nodes.flatMap((n) => n.outputs));
  const renamed = new Map<string, string>();
  const copies: OnnxNode[] = [];
  const published = Object.entries(outputs).map(([name, v]): OnnxValue => {
    const inner = names.get(v) ?? missing(v);
    if (produced.has(inner) && !renamed.has(inner)) renamed.set(inner, name);
    else copies.push({ op: "Identity", domain: "", inputs: [inner], outputs: [name], attributes: {} });
    return { name, dtype: v.dtype, shape: v.shape };
  });
  const used = new Set([...[...nodes, ...copies].flatMap((n) => n.inputs), ...renamed.keys()]);
  const finalName = (n: string) => renamed.get(n) ?? n;
  const final = [...nodes, ...copies].map((n) => {
    // Saved outputs that no gradient reads (the statistics of a layer norm) are left out.
    const last = n.outputs.findLastIndex((o, i) => i === 0 || used.has(o));
    return { ...n, inputs: n.inputs.map(finalName), outputs: n.outputs.slice(0, last + 1).map(finalName) };
  });
  const shapes = new Map([...names].map(([v, name]) => [finalName(name), v.shape]));
  return { nodes: final, outputs: published, shapes };
}
