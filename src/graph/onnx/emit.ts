/** From outputs to an ONNX model: walks the graph once and collects its parts. */
import type { Shape, StateDict } from "../../tensor.js";
import { parameterName } from "../ops/leaves.js";
import { topologicalOrder, type Value } from "../value.js";
import { verify } from "../verify.js";
import { type EmitTarget, Emitter, type OnnxNode, type OnnxValue, type StoredValue } from "./emitter.js";

/** An ONNX graph before serialisation. */
export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Tensors stored inside the model. */
  readonly constants: StateDict;
  /** Frozen parameters, whose data is given when the model is serialised or loaded. */
  readonly parameters: readonly StoredValue[];
  /** Shapes of all values by name. */
  readonly shapes: ReadonlyMap<string, Shape>;
}

/** What to emit and how. */
export interface EmitOptions {
  /** Parameters (by key) that are fed as inputs at every run instead of being frozen into the model. */
  readonly fed?: ReadonlySet<string>;
  /** Operators allowed; the CPU provider's by default. */
  readonly target?: EmitTarget;
  /** Values known already (see `fixedValues`): emitted as parameters of these names, not computed. */
  readonly given?: ReadonlyMap<Value, string>;
}

/**
 * Emits the graph that `outputs` (by public name) reach: dead code is never visited, equal nodes are merged.
 * @throws `Error` from the verifier, or when two inputs share a name.
 */
export function emitOnnx(
  outputs: Readonly<Record<string, Value>>,
  { fed = new Set(), target = { contrib: true }, given = new Map() }: EmitOptions = {},
): OnnxGraph {
  const values = Object.values(outputs);
  verify(values);
  const emitter = new Emitter(target);
  const names = new Map<Value, string>();
  const inputs = new Map<string, OnnxValue>();
  const parameters = new Map<string, StoredValue>();
  for (const node of topologicalOrder(values, given)) {
    if (node.outputs.some((y) => given.has(y))) {
      for (const y of node.outputs) {
        const name = given.get(y);
        if (name === undefined) continue;
        names.set(y, name);
        parameters.set(name, { name, dtype: y.dtype, shape: y.shape });
      }
      continue;
    }
    const inputNames = node.inputs.map((v) => names.get(v) ?? missing(v));
    const produced = node.emit(emitter, inputNames);
    node.outputs.forEach((y, i) => {
      names.set(y, produced[i] ?? missing(y));
    });
    const [leaf] = node.outputs;
    if (node.op === "input" || node.op === "parameter") {
      const name = parameterName(leaf);
      const asInput = node.op === "input" || fed.has(name);
      (asInput ? inputs : parameters).set(name, { name, dtype: leaf.dtype, shape: leaf.shape });
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
    // Optional outputs that nobody reads (the statistics of a layer norm) are left out.
    const last = n.outputs.findLastIndex((o, i) => i === 0 || used.has(o));
    return { ...n, inputs: n.inputs.map(finalName), outputs: n.outputs.slice(0, last + 1).map(finalName) };
  });
  const shapes = new Map([...names].map(([v, name]) => [finalName(name), v.shape]));
  return { nodes: final, outputs: published, shapes };
}
