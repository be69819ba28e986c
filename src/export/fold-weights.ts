/** Computes ahead of time what depends on weights alone: merged maps, folded norms, adapters, kernels as matrices. */
import { constantValues, emitOnnx, parameterName, topologicalOrder, type Value } from "../graph/index.js";
import type { Runtime } from "../runtime/runtime.js";
import type { StateDict, Tensor } from "../tensor.js";
import { constantsAsWeights, type StoredGraph } from "./stored-graph.js";

/** What to fold, and the engine that computes it. */
export interface FoldOptions {
  readonly weights: StateDict;
  readonly runtime: Runtime;
}

/**
 * Emits the graph of `outputs` with every value that is fixed by the weights stored instead of computed. A stored
 * value has the state-dict key of the (first) parameter that it is made of, which identifies its part of the model.
 */
export async function foldWeights(
  outputs: Readonly<Record<string, Value>>,
  { weights, runtime }: FoldOptions,
): Promise<StoredGraph> {
  const values = Object.values(outputs);
  const fixed = constantValues(values);
  const precomputed = nameFixed(values, fixed);
  const graph = emitOnnx(outputs, { precomputed });

  const data = new Map<string, Tensor>();
  const computed: [name: string, value: Value][] = [];
  for (const [value, name] of precomputed) {
    const same = sameElements(value, weights);
    if (same === undefined) computed.push([name, value]);
    else data.set(name, same);
  }
  if (computed.length > 0) {
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
  }
  const stored = graph.parameters.map(({ name }): [string, Tensor] => {
    const tensor = data.get(name) ?? weights.get(name);
    if (tensor === undefined) throw new Error(`export: parameter "${name}" has no data`);
    return [name, tensor];
  });
  return constantsAsWeights({ graph, weights: new Map(stored) });
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
      const origin = originOf(value) ?? "constant";
      let name = origin;
      for (let k = 2; taken.has(name); k++) name = `${origin}#${k}`;
      taken.add(name);
      return [value, name];
    }),
  );
}

/** The key of the first parameter that `value` is made of. */
function originOf(value: Value): string | undefined {
  const leaf = topologicalOrder([value]).find(({ op }) => op === "parameter")?.outputs[0];
  return leaf && parameterName(leaf);
}

/** The data of a value that only gives a parameter another shape. */
function sameElements(value: Value, weights: StateDict): Tensor | undefined {
  const [source] = value.node.inputs;
  if (value.node.op !== "Reshape" || source?.node.op !== "parameter") return undefined;
  const tensor = weights.get(parameterName(source));
  return tensor && { ...tensor, shape: value.shape };
}
