/**
 * Trading time for memory (Chen et al. 2016, "Training deep nets with sublinear memory cost",
 * https://arxiv.org/abs/1604.06174): the gradient of a part of the graph is that of a copy of it, which runs when the
 * gradient arrives, so that the activations inside need not be kept until then.
 */
import { gradients } from "../autodiff.js";
import { defineOp } from "../define-op.js";
import { topologicalOrder, type Value } from "../value.js";

const afterOp = defineOp<readonly [x: Value, event: Value], Record<string, never>>({
  name: "After",
  shape: ([x]) => x.shape,
  grad: ({ g }) => [g, null],
  // x + 0 * event[0]: a runtime cannot know that the second term is zero, so it waits for the event.
  onnx: (e, [x, event], _, [, { shape }]) => {
    const axes = shape.map((__, axis) => axis);
    const [starts, ends] = [e.ints(shape.map(() => 0)), e.ints(shape.map(() => 1))];
    const first = e.op("Reshape", [e.op("Slice", [event, starts, ends, e.ints(axes)]), e.ints([])]);
    return e.op("Add", [x, e.op("Mul", [first, e.scalar(0)])]);
  },
});

/** The same values as `x`, computed after `event`, which must be finite and have at least one axis. */
export function after(x: Value, event: Value): Value {
  return afterOp([x, event], {});
}

interface Rebuilding extends Readonly<Record<string, unknown>> {
  readonly rebuild: (x: Value) => Value;
}

const recomputeOp = defineOp<readonly [y: Value, x: Value, ...leaves: Value[]], Rebuilding>({
  name: "Recompute",
  shape: ([y]) => y.shape,
  grad: ({ g, inputs: [, x, ...leaves], attrs: { rebuild } }) => {
    const copied = after(x, g);
    const [ofX, ...ofLeaves] = gradients([{ y: rebuild(copied), seed: g }], [copied, ...leaves]);
    return [null, ofX ?? null, ...ofLeaves];
  },
  onnx: (_, [y]) => y,
});

/**
 * The values of y = `rebuild(x)`. Its gradients, with respect to `x` and to all other leaves that y depends on, run
 * `rebuild` again on `x` after the gradient of y has arrived.
 */
export function recompute(x: Value, y: Value, rebuild: (x: Value) => Value): Value {
  const inside = topologicalOrder([y], { has: (v) => v === x });
  const leaves = inside.flatMap(({ inputs, outputs: [leaf] }) =>
    inputs.length === 0 && leaf !== x && leaf.dtype === "f32" ? [leaf] : [],
  );
  return recomputeOp([y, x, ...leaves], { rebuild });
}
