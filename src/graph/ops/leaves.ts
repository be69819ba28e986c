/** The leaves of graphs: inputs of every run, parameters by state-dict key, constants. */
import { type DType, type Shape, sizeOf, type Tensor } from "../../tensor.js";
import { GraphNode, type Value } from "../value.js";

function leaf(op: "input" | "parameter", name: string, shape: Shape, dtype: DType): Value {
  return new GraphNode({
    op,
    inputs: [],
    attrs: { name },
    infer: () => [{ shape, dtype }],
    vjp: "none",
    emit: () => [name],
  }).outputs[0];
}

/** An input: a tensor that is fed under `name` in every run. */
export function input(name: string, shape: Shape, dtype: DType = "f32"): Value {
  return leaf("input", name, shape, dtype);
}

/**
 * A weight by state-dict key. `emitOnnx` makes it an initializer, which the runtime prepacks, or, if `asInputs` names it,
 * an input of every run.
 */
export function parameter(name: string, shape: Shape): Value {
  return leaf("parameter", name, shape, "f32");
}

/** A constant stored in the model. */
export function constant(tensor: Tensor): Value {
  if (tensor.data.length !== sizeOf(tensor.shape)) {
    throw new RangeError(`constant: ${tensor.data.length} values do not fill [${tensor.shape}]`);
  }
  return new GraphNode({
    op: "constant",
    inputs: [],
    attrs: { tensor },
    infer: () => [{ shape: tensor.shape, dtype: tensor.dtype }],
    vjp: "none",
    emit: (e) => [e.constant(tensor)],
  }).outputs[0];
}

/** A scalar constant, shape `[]`. Default dtype: `f32`. */
export function scalar(value: number, dtype: "f32" | "i32" = "f32"): Value {
  return dtype === "f32"
    ? constant({ dtype, shape: [], data: Float32Array.of(value) })
    : constant({ dtype, shape: [], data: Int32Array.of(value) });
}

/** The name of a value made by `parameter` or `input`. Throws `TypeError` for any other value. */
export function parameterName(v: Value): string {
  const { name } = v.node.attrs;
  if ((v.node.op !== "input" && v.node.op !== "parameter") || typeof name !== "string") {
    throw new TypeError(`graph: expected an input or parameter, got the output of ${v.node.op}`);
  }
  return name;
}
