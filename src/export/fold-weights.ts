/** Computes ahead of time what depends on weights alone: merged maps, folded norms, adapters, kernels as matrices. */
import {
  constantValues,
  emitOnnx,
  type NodeForm,
  parameterName,
  topologicalOrder,
  type Value,
} from "../graph/index.js";
import type { Runtime } from "../runtime/runtime.js";
import type { StateDict, Tensor } from "../tensor.js";
import { constantsAsWeights, type StoredGraph } from "./stored-graph.js";

/** The values of a graph that its weights alone decide. */
export interface FoldedWeights {
  /**
   * Names of the computed values. Each has the state-dict key of the (first) parameter that it is made of, so that
   * its part of the model is known.
   */
  readonly precomputed: ReadonlyMap<Value, string>;
  /** Data by name: of the computed values, and of the parameters that are used as they are. */
  readonly data: StateDict;
}

/** What to fold, and the engine that computes it. */
export interface FoldOptions {
  readonly weights: StateDict;
  readonly runtime: Runtime;
}

/** Computes every value of `outputs` that is fixed by the weights. */
export async function foldWeights(
  outputs: Readonly<Record<string, Value>>,
  { weights, runtime }: FoldOptions,
): Promise<FoldedWeights> {
  const values = Object.values(outputs);
  const precomputed = nameFixed(values, constantValues(values));
  const data = new Map(weights);
  const computed: [name: string, value: Value][] = [];
  for (const [value, name] of precomputed) {
    const same = sameElements(value, weights);
    if (same === undefined) computed.push([name, value]);
    else data.set(name, same);
  }
  if (computed.length === 0) return { precomputed, data };
  // Outputs go by number: their own names are those of the parameters that they are made of.
  const numbered = Object.fromEntries(computed.map(([, value], i) => [`merged_${i}`, value]));
  const session = await runtime.createSession({
    graph: emitOnnx(numbered, { target: runtime.supports }),
    weights,
    name: "merged weights",
  });
  const results = await session.run({});
  await session.close();
  computed.forEach(([name], i) => {
    const tensor = results[`merged_${i}`];
    if (tensor !== undefined) data.set(name, tensor);
  });
  return { precomputed, data };
}

/** Emits the graph of `outputs` with the folded values stored instead of computed; nodes may take another `form`. */
export function foldedGraph(
  outputs: Readonly<Record<string, Value>>,
  { precomputed, data }: FoldedWeights,
  form?: NodeForm,
): StoredGraph {
  const graph = emitOnnx(outputs, { precomputed, form });
  const stored = graph.parameters.map(({ name }): [string, Tensor] => {
    const tensor = data.get(name);
    if (tensor === undefined) throw new Error(`export: parameter "${name}" has no data`);
    return [name, tensor];
  });
  return constantsAsWeights({ graph, weights: new Map(stored) });
}

/** A value whose data is stored: folded, or a parameter. */
export interface StoredWeight {
  readonly name: string;
  readonly tensor: Tensor;
}

/** The stored data of `value`; `undefined` if it is computed at every run. */
export function storedWeight(value: Value, { precomputed, data }: FoldedWeights): StoredWeight | undefined {
  const name = precomputed.get(value) ?? (value.node.op === "parameter" ? parameterName(value) : undefined);
  const tensor = name === undefined ? undefined : data.get(name);
  return name === undefined || tensor === undefined ? undefined : { name, tensor };
}

/** The keys of the parameters that `value` is made of. */
export function parametersOf(value: Value): string[] {
  return topologicalOrder([value]).flatMap(({ op, outputs: [y] }) =>
    op === "parameter" && y !== undefined ? [parameterName(y)] : [],
  );
}

/** Names for fixed values: unique, and none that a parameter still in use has. */
function nameFixed(outputs: readonly Value[], fixed: readonly Value[]): Map<Value, string> {
  const known = new Set(fixed);
  const taken = new Set(
    topologicalOrder(outputs, known).flatMap(({ op, outputs: [y] }) =>
      op === "parameter" ? [parameterName(y)] : [],
    ),
  );
  return new Map(
    fixed.map((value) => {
      const [origin = "constant"] = parametersOf(value);
      let name = origin;
      for (let k = 2; taken.has(name); k++) name = `${origin}#${k}`;
      taken.add(name);
      return [value, name];
    }),
  );
}

/** The data of a value that only gives a parameter another shape. */
function sameElements(value: Value, weights: StateDict): Tensor | undefined {
  const [source] = value.node.inputs;
  if (value.node.op !== "Reshape" || source?.node.op !== "parameter") return undefined;
  const tensor = weights.get(parameterName(source));
  return tensor && { ...tensor, shape: value.shape };
}
