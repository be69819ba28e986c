/** What a module of a model gives, found in a graph by the parameters of the module, as hooks of modules find it in PyTorch. */
import { type GraphNode, topologicalOrder, type Value } from "../../src/graph/index.js";
import { parameterName } from "../../src/graph/ops/leaves.js";

/** The modules of a graph. */
export interface Modules {
  /** The output of the module whose parameters are below `scope`, of its last use. Throws `RangeError` for an unknown scope. */
  output(scope: string): Value;
  /** The first value of an op that `value` leads to. Throws `RangeError` if there is none. */
  next(value: Value, op: string): Value;
}

/** The modules of the graph of `outputs`. */
export function modulesOf(outputs: readonly Value[]): Modules {
  const order = topologicalOrder(outputs);
  const fixed = new Set<GraphNode>();
  for (const node of order) {
    const isFixed = node.inputs.length > 0 && node.inputs.every((v) => fixed.has(v.node));
    if (node.op === "constant" || isFixed) fixed.add(node);
  }
  return {
    output(scope) {
      // Weights, and what is made of them and constants alone, until they meet anything else.
      const own = new Set<GraphNode>();
      let last: GraphNode | undefined;
      for (const node of order) {
        if (node.op === "parameter" && parameterName(node.outputs[0]).startsWith(`${scope}.`)) own.add(node);
        if (!node.inputs.some((v) => own.has(v.node))) continue;
        if (node.inputs.every((v) => own.has(v.node) || fixed.has(v.node))) own.add(node);
        else last = node;
      }
      if (last === undefined) throw new RangeError(`no module ${scope}`);
      return last.outputs[0];
    },
    next(value, op) {
      const following = new Set([value.node]);
      for (const node of order) {
        if (!node.inputs.some((v) => following.has(v.node))) continue;
        if (node.op === op) return node.outputs[0];
        following.add(node);
      }
      throw new RangeError(`no ${op} follows`);
    },
  };
}
