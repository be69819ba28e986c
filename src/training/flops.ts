/** Nominal work of a graph. */
import { at } from "../arrays.js";
import { topologicalOrder } from "../graph/index.js";
import type { AvsModel } from "../models/avs-model.js";
import { forwardOf } from "../models/forward.js";
import { Pass } from "../nn/index.js";
import { type Shape, sizeOf } from "../tensor.js";

/**
 * Floating-point operations of the matrix products and convolutions among `nodes`, a multiply-add counting as
 * two, as published metrics count them; what is elementwise is left out.
 */
function countFlops(nodes: ReturnType<typeof topologicalOrder>): number {
  let total = 0;
  for (const { op, inputs, outputs, attrs } of nodes) {
    const [a, b] = inputs.map((value) => value.shape);
    const out = outputs[0].shape;
    if (!a || !b) continue;
    total += 2 * sizeOf(out) * innerSize(op, [a, b], attrs.transA === true);
  }
  return total;
}

/** Floating-point operations of a model's published formulas for one clip, before any rewrite. */
export function plainFlops(model: AvsModel): number {
  const { logits } = forwardOf(model, { pass: new Pass({ fused: false }) });
  return countFlops(topologicalOrder([logits]));
}

/** Multiply-adds per element of the output; 0 for ops that count for nothing. */
function innerSize(op: string, [a, b]: readonly [Shape, Shape], transA: boolean): number {
  switch (op) {
    case "MatMul":
      return at(a, a.length - (transA ? 2 : 1));
    case "Gemm":
      return at(a, a.length - 1);
    case "Conv":
      return sizeOf(b.slice(1));
    case "WeightedRows":
      return at(b, 1);
    default:
      return 0;
  }
}
