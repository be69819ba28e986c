/** How an op is written: shape rule, gradient rule and ONNX form side by side. */
import type { DType, Shape } from "../tensor.js";
import type { Emitter } from "./onnx/emitter.js";
import { type Attrs, GraphNode, type Value, type ValueType } from "./value.js";

/** One gradient (or `null`) per input, in the inputs' order. */
export type GradientsOf<I extends readonly Value[]> = {
  readonly [K in keyof I]: Value | (() => Value) | null;
};

/** The names of a node's inputs in the ONNX graph, in the inputs' order. */
export type NamesOf<I extends readonly Value[]> = { readonly [K in keyof I]: string };

/** The types of values, in their order. */
export type TypesOf<S extends readonly Value[]> = { readonly [K in keyof S]: ValueType };

/** What a gradient rule works with. */
export interface GradientContext<
  I extends readonly Value[],
  A extends Attrs,
  S extends readonly Value[] = readonly [],
> {
  /** The gradient that flows into the output. */
  readonly g: Value;
  /** The output. */
  readonly y: Value;
  readonly inputs: I;
  readonly attrs: A;
  /** The further outputs that the definition declares as `saved`. */
  readonly saved: S;
}

/**
 * Definition of an op.
 * @typeParam I The inputs, a tuple of `Value`; optional ones come last (`readonly [x: Value, ...bias: Value[]]`).
 * @typeParam A The attributes.
 * @typeParam S Outputs that only the gradient rule uses, a tuple of `Value`.
 */
export interface OpDefinition<
  I extends readonly Value[],
  A extends Attrs,
  S extends readonly Value[] = readonly [],
> {
  readonly name: string;
  /** Shape of the output; throws `RangeError` when the inputs do not fit. */
  readonly shape: (inputs: I, attrs: A) => Shape;
  /** Dtype of the output. Default: that of the first input. */
  readonly dtype?: ((inputs: I, attrs: A) => DType) | undefined;
  /** Types of further outputs that the ONNX form computes and the gradient rule needs. Default: none. */
  readonly saved?: ((inputs: I, attrs: A) => TypesOf<S>) | undefined;
  /** The gradient of each input, made of other ops; `"none"` for an op that cannot be differentiated. */
  readonly grad: "none" | ((context: GradientContext<I, A, S>) => GradientsOf<I>);
  /** Adds the ONNX form; returns the name of its output, or the names of its outputs where some are saved. */
  readonly onnx: (e: Emitter, names: NamesOf<I>, attrs: A, inputs: I) => string | readonly string[];
}

const names = new Set<string>();

/** Names of all ops defined so far; the contract test demands cases for each. */
export function opNames(): string[] {
  return [...names].sort();
}

/**
 * Defines an op; returns the function that applies it to inputs and attributes.
 *
 * ```ts
 * const softsignOp = defineOp<readonly [Value], Record<string, never>>({
 *   name: "Softsign",
 *   shape: ([x]) => x.shape,
 *   // y = x / (1 + |x|),  dL/dx = g / (1 + |x|)^2
 *   grad: ({ g, inputs: [x] }) => {
 *     const d = add(1, abs(x));
 *     return [div(g, mul(d, d))];
 *   },
 *   onnx: (e, names) => e.op("Softsign", names),
 * });
 * const y = softsignOp([x], {});
 * ```
 *
 * A gradient may have the broadcast shape of its input: the reverse walk sums it back.
 */
export function defineOp<
  I extends readonly Value[],
  A extends Attrs,
  S extends readonly Value[] = readonly [],
>(def: OpDefinition<I, A, S>): (inputs: I, attrs: A) => Value {
  names.add(def.name);
  const { grad } = def;
  return (inputs, attrs) => {
    const node = new GraphNode({
      op: def.name,
      inputs,
      attrs,
      infer: () => {
        const dtype = def.dtype?.(inputs, attrs) ?? inputs[0]?.dtype ?? "f32";
        const saved: readonly ValueType[] = def.saved?.(inputs, attrs) ?? [];
        return [{ shape: def.shape(inputs, attrs), dtype }, ...saved];
      },
      vjp:
        grad === "none"
          ? "none"
          : (g) => {
              const [y, ...others] = node.outputs;
              const saved: readonly Value[] = others;
              // They have the order of the types that `def.saved` returns: the same tuple by construction.
              return grad({ g, y, inputs, attrs, saved: saved as S });
            },
      emit: (e, inputNames) => {
        // The emitter hands names in the order of `inputs`: the same tuple by construction.
        const produced = def.onnx(e, inputNames as NamesOf<I>, attrs, inputs);
        return typeof produced === "string" ? [produced] : produced;
      },
    });
    return node.outputs[0];
  };
}
