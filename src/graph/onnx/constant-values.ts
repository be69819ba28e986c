/** The part of a graph that is the same at every run: what depends on weights and constants alone. */
import { type GraphNode, topologicalOrder, type Value } from "../value.js";

/**
 * The computed values (merged weights, reshaped kernels) that depend on parameters and constants only and are used
 * by something that does not. Give them to `emitOnnx` as `precomputed` to have them computed once, ahead of time.
 */
export function constantValues(outputs: readonly Value[]): Value[] {
  const fixed = new Set<GraphNode>();
  const edge = new Set<Value>();
  for (const node of topologicalOrder(outputs)) {
    if (isLeaf(node) || (node.inputs.length > 0 && node.inputs.every((v) => fixed.has(v.node)))) {
      fixed.add(node);
      continue;
    }
    for (const v of node.inputs) if (fixed.has(v.node) && !isLeaf(v.node)) edge.add(v);
  }
  return [...edge];
}

function isLeaf(node: GraphNode): boolean {
  return node.op === "parameter" || node.op === "constant";
}
