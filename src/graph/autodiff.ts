/**
 * Reverse-mode differentiation: takes a graph and returns the graph of its gradients. Only nodes that depend on a
 * wanted value are differentiated, so frozen layers below the first trained one cost nothing.
 */
import { full } from "../tensor.js";
import { add } from "./ops/elementwise.js";
import { constant } from "./ops/leaves.js";
import { sumTo } from "./ops/reduce.js";
import { topologicalOrder, type Value } from "./value.js";

/**
 * Gradients of `sum(seed_i * y_i)` with respect to each of `wanted`, in their order and shapes. They are values like any
 * other: they can be emitted, run and differentiated again.
 *
 * ```ts
 * const w = parameter("w", [3]);
 * const loss = sum(mul(w, w));
 * const [dw] = gradients([{ y: loss }], [w]); // 2 w
 * ```
 *
 * @param ys Outputs to differentiate, each with the gradient that flows into it. Default of `seed`: 1, for a scalar.
 * @param wanted Values to differentiate with respect to. Where no output depends on one, its gradient is zeros.
 * @throws `RangeError` when an output that is not a scalar has no seed; `Error` naming the op when a gradient has to pass
 * through an op without one.
 */
export function gradients(ys: readonly { y: Value; seed?: Value }[], wanted: readonly Value[]): Value[] {
  const nodes = topologicalOrder(ys.map(({ y }) => y));
  const active = new Set<Value>(wanted);
  for (const node of nodes) {
    // Integers and booleans carry no gradient, so nothing above them needs one for their sake.
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
      throw new RangeError(
        `gradients: an output of shape [${y.shape}] is not a scalar; pass the gradient that flows into it as seed`,
      );
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
