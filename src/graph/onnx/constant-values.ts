/** The part of a graph that has the same value in every run: what depends on weights and constants alone. */
import { type GraphNode, topologicalOrder, type Value } from "../value.js";

/**
 * The computed values (merged weights, reshaped kernels) that depend on parameters and constants only, and that a node
 * with other inputs uses. Pass them to `emitOnnx` as `precomputed` to compute them once, ahead of time.
 */
export function constantValues(outputs: readonly Value[]): Value[] {
  const constantNodes = new Set<GraphNode>();
  const results = new Set<Value>();
  for (const node of topologicalOrder(outputs)) {
    if (isLeaf(node) || (node.inputs.length > 0 && node.inputs.every((v) => constantNodes.has(v.node)))) {
      constantNodes.add(node);
      continue;
    }
    for (const v of node.inputs) if (constantNodes.has(v.node) && !isLeaf(v.node)) results.add(v);
  }
  return [...results];
}

function isLeaf(node: GraphNode): boolean {
  return node.op === "parameter" || node.op === "constant";
}
