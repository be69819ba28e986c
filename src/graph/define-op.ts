/** How an op is written: shape rule, gradient rule and ONNX form side by side. */
import type { DType, Shape } from "../tensor.js";
import type { Emitter } from "./onnx/emitter.js";
import { type Attrs, type Gradients, makeNode, onlyOutput, type Value, type ValueType } from "./value.js";

/** One gradient (or `null`) per input, in the inputs' order. */
type GradientsOf<I extends readonly Value[]> = { readonly [K in keyof I]: Value | (() => Value) | null };

/** The names of a node's inputs in the ONNX graph, in the inputs' order. */
type NamesOf<I extends readonly Value[]> = { readonly [K in keyof I]: string };

/** Definition of an op with one output. */
export interface OpDefinition<I extends readonly Value[], A extends Attrs> {
  readonly name: string;
  /** Output shape; throws `RangeError` when the inputs do not fit. */
  readonly shape: (inputs: I, attrs: A) => Shape;
  /** Output dtype; the first input's unless told. */
  readonly dtype?: ((inputs: I, attrs: A) => DType) | undefined;
  readonly grad: "none" | ((c: { g: Value; y: Value; inputs: I; attrs: A }) => GradientsOf<I>);
  readonly onnx: (e: Emitter, names: NamesOf<I>, attrs: A, inputs: I) => string;
}

/** Definition of an op with several outputs. */
export interface MultiOpDefinition<I extends readonly Value[], A extends Attrs> {
  readonly name: string;
  readonly outputs: (inputs: I, attrs: A) => readonly ValueType[];
  readonly grad:
    | "none"
    | ((c: {
        gs: readonly (Value | undefined)[];
        ys: readonly Value[];
        inputs: I;
        attrs: A;
      }) => GradientsOf<I>);
  readonly onnx: (e: Emitter, names: NamesOf<I>, attrs: A, inputs: I) => readonly string[];
}

const names = new Set<string>();

/** Names of all ops defined so far; the contract test demands cases for each. */
export function opNames(): string[] {
  return [...names].sort();
}

/** Defines an op with several outputs; returns the function that applies it. */
export function defineMultiOp<I extends readonly Value[], A extends Attrs>(
  def: MultiOpDefinition<I, A>,
): (inputs: I, attrs: A) => readonly Value[] {
  names.add(def.name);
  const { grad } = def;
  return (inputs, attrs) => {
    const node = makeNode({
      op: def.name,
      inputs,
      attrs,
      infer: () => def.outputs(inputs, attrs),
      vjp: grad === "none" ? "none" : (gs): Gradients => grad({ gs, ys: node.outputs, inputs, attrs }),
      // The emitter hands names in the order of `inputs`: the same tuple by construction.
      emit: (e, given) => def.onnx(e, given as NamesOf<I>, attrs, inputs),
    });
    return node.outputs;
  };
}

/** Defines an op with one output; returns the function that applies it. */
export function defineOp<I extends readonly Value[], A extends Attrs>(
  def: OpDefinition<I, A>,
): (inputs: I, attrs: A) => Value {
  const { grad } = def;
  const apply = defineMultiOp<I, A>({
    name: def.name,
    outputs: (inputs, attrs) => [
      {
        shape: def.shape(inputs, attrs),
        dtype: def.dtype?.(inputs, attrs) ?? inputs[0]?.dtype ?? "f32",
      },
    ],
    grad:
      grad === "none"
        ? "none"
        : ({ gs: [g], ys: [y], inputs, attrs }) => {
            if (g === undefined || y === undefined) throw new Error(`${def.name}: gradient without output`);
            return grad({ g, y, inputs, attrs });
          },
    onnx: (e, given, attrs, inputs) => [def.onnx(e, given, attrs, inputs)],
  });
  return (inputs, attrs) => {
    const [y] = apply(inputs, attrs);
    if (y === undefined) throw new Error(`${def.name}: no output`);
    return onlyOutput(y.node);
  };
}
