/**
 * Reverse-mode differentiation: a graph in, the graph of its gradients out. The walk visits only
 * what a wanted value reaches, so nothing is computed for frozen parts below the first trained one.
 */
import { full } from "../tensor.js";
import { add } from "./ops/elementwise.js";
import { constant } from "./ops/leaves.js";
import { sumTo } from "./ops/reduce.js";
import { topologicalOrder, type Value } from "./value.js";

/**
 * Gradients of `sum(seed_i * y_i)` with respect to each of `wanted`, in their order and shapes.
 * @param ys Outputs to differentiate, each with the gradient flowing into it (a scalar loss needs none: 1).
 * @param wanted Values whose gradients are asked for; one that no output depends on gets zeros.
 * @throws `Error` naming the op when a gradient has to pass through an op that has none.
 */
export function gradients(ys: readonly { y: Value; seed?: Value }[], wanted: readonly Value[]): Value[] {
  const nodes = topologicalOrder(ys.map(({ y }) => y));
  const active = new Set<Value>(wanted);
  for (const node of nodes) {
    // Integers and booleans carry no gradient, so they do not spread the need for one.
    if (!node.inputs.some((v) => active.has(v))) continue;
    for (const y of node.outputs) if (y.dtype === "f32") active.add(y);
  }

  const total = new Map<Value, Value>();
  const accumulate = (v: Value, g: Value) => {
    const fitted = sumTo(g, v.shape);
    const before = total.get(v);
    total.set(v, before === undefined ? fitted : add(before, fitted));
  };
  for (const { y, seed } of ys) {
    if (seed === undefined && y.shape.some((d) => d !== 1)) {
      throw new RangeError(`gradients: an output of shape [${y.shape}] needs the gradient flowing into it`);
    }
    accumulate(y, seed ?? constant(full(y.shape, 1)));
  }

  for (const node of nodes.reverse()) {
    const needed = node.inputs.map((v) => active.has(v));
    if (!needed.includes(true)) continue;
    const g = total.get(node.outputs[0]);
    if (g === undefined) continue;
    if (node.vjp === "none") {
      throw new Error(`gradients: ${node.op} has no gradient, but a trained value reaches it`);
    }
    const results = node.vjp(g);
    node.inputs.forEach((v, i) => {
      const result = results[i];
      if (!needed[i] || result === null || result === undefined) return;
      accumulate(v, typeof result === "function" ? result() : result);
    });
  }
  return wanted.map((v) => total.get(v) ?? constant(full(v.shape)));
}
