/**
 * Elementwise ops with NumPy broadcasting. Gradient rules return gradients of the broadcast shape;
 * the reverse walk sums them back to the shape of each input.
 */
import type { DType } from "../../tensor.js";
import { defineOp } from "../define-op.js";
import { elementType } from "../onnx/element-type.js";
import { broadcastShapes } from "../shapes.js";
import type { Value } from "../value.js";
import { scalar } from "./leaves.js";

/** A symbolic tensor, or a number: a scalar constant of the other operand's dtype. */
export type Operand = Value | number;

/** An op of two operands. */
export type BinaryOp = (a: Operand, b: Operand) => Value;
type BinaryRule = (c: {
  g: Value;
  y: Value;
  inputs: readonly [Value, Value];
}) => readonly [() => Value, () => Value];

function lift(x: Operand, other: Operand): Value {
  if (typeof x !== "number") return x;
  return scalar(x, typeof other !== "number" && other.dtype === "i32" ? "i32" : "f32");
}

function binary(onnxOp: string, grad: "none" | BinaryRule, dtype?: DType): BinaryOp {
  const op = defineOp<readonly [Value, Value], Record<string, never>>({
    name: onnxOp,
    shape: ([a, b]) => {
      if (a.dtype !== b.dtype) throw new TypeError(`${onnxOp}: ${a.dtype} with ${b.dtype}; cast one of them`);
      return broadcastShapes(onnxOp, a.shape, b.shape);
    },
    dtype: ([a]) => dtype ?? a.dtype,
    grad,
    onnx: (e, names) => e.op(onnxOp, names),
  });
  return (a, b) => op([lift(a, b), lift(b, a)], {});
}

type UnaryRule = (c: { g: Value; y: Value; x: Value }) => Value;

/** `grad`: the rule, `zero` for a derivative that is zero almost everywhere, or `none` for an op that cannot be differentiated. */
function unary(onnxOp: string, grad: "none" | "zero" | UnaryRule): (x: Value) => Value {
  const op = defineOp<readonly [Value], Record<string, never>>({
    name: onnxOp,
    shape: ([x]) => x.shape,
    grad: grad === "none" ? "none" : ({ g, y, inputs: [x] }) => [grad === "zero" ? null : grad({ g, y, x })],
    onnx: (e, names) => e.op(onnxOp, names),
  });
  return (x) => op([x], {});
}

/** a + b */
export const add: BinaryOp = binary("Add", ({ g }) => [() => g, () => g]);
/** a - b */
export const sub: BinaryOp = binary("Sub", ({ g }) => [() => g, () => neg(g)]);
/** a * b */
export const mul: BinaryOp = binary("Mul", ({ g, inputs: [a, b] }) => [() => mul(g, b), () => mul(g, a)]);
/** a / b */
export const div: BinaryOp = binary("Div", ({ g, y, inputs: [, b] }) => [
  () => div(g, b),
  () => neg(div(mul(g, y), b)),
]);
/** max(a, b); where they are equal the gradient goes to `a`. */
export const maximum: BinaryOp = binary("Max", ({ g, inputs: [a, b] }) => [
  () => where(less(a, b), 0, g),
  () => where(less(a, b), g, 0),
]);
/** min(a, b); where they are equal the gradient goes to `a`. */
export const minimum: BinaryOp = binary("Min", ({ g, inputs: [a, b] }) => [
  () => where(greater(a, b), 0, g),
  () => where(greater(a, b), g, 0),
]);
/** a < b as `bool`. */
export const less: BinaryOp = binary("Less", "none", "bool");
/** a > b as `bool`. */
export const greater: BinaryOp = binary("Greater", "none", "bool");
/** a == b as `bool`. */
export const equal: BinaryOp = binary("Equal", "none", "bool");
/** Bitwise a xor b (`i32`). */
export const bitwiseXor: BinaryOp = binary("BitwiseXor", "none");

/** -x */
export const neg: (x: Value) => Value = unary("Neg", ({ g }) => neg(g));
/** e^x */
export const exp: (x: Value) => Value = unary("Exp", ({ g, y }) => mul(g, y));
/** Natural logarithm. */
export const log: (x: Value) => Value = unary("Log", ({ g, x }) => div(g, x));
/** Square root. */
export const sqrt: (x: Value) => Value = unary("Sqrt", ({ g, y }) => div(mul(g, 0.5), y));
/** Absolute value; gradient 0 at 0. */
export const abs: (x: Value) => Value = unary("Abs", ({ g, x }) => mul(g, sign(x)));
/** -1, 0 or 1. */
export const sign: (x: Value) => Value = unary("Sign", "none");
/** Round half to even. */
export const round: (x: Value) => Value = unary("Round", "none");
/** The largest integer not above x; no gradient passes. */
export const floor: (x: Value) => Value = unary("Floor", "zero");
/** Gauss error function. */
export const erf: (x: Value) => Value = unary("Erf", ({ g, x }) =>
  mul(mul(g, 2 / Math.sqrt(Math.PI)), exp(neg(mul(x, x)))),
);
/** Hyperbolic tangent. */
export const tanh: (x: Value) => Value = unary("Tanh", ({ g, y }) => mul(g, sub(1, mul(y, y))));
/** 1 / (1 + e^-x) */
export const sigmoid: (x: Value) => Value = unary("Sigmoid", ({ g, y }) => mul(g, mul(y, sub(1, y))));
/** log(1 + e^x), without overflow. */
export const softplus: (x: Value) => Value = unary("Softplus", ({ g, x }) => mul(g, sigmoid(x)));
/** x / (1 + e^-x), also called swish. */
export function silu(x: Value): Value {
  return mul(x, sigmoid(x));
}
/** max(x, 0); gradient 0 at 0. */
export const relu: (x: Value) => Value = unary("Relu", ({ g, y }) => where(greater(y, 0), g, 0));

/**
 * x * Phi(x) with the exact normal distribution function.
 * dy/dx = Phi(x) + x phi(x); with u = x/sqrt(2) that is (1 + erf(u) + u e^(ln(2/sqrt(pi)) - u^2)) / 2,
 * written with few passes over memory.
 */
export const gelu: (x: Value) => Value = unary("Gelu", ({ g, x }) => {
  const u = mul(x, Math.SQRT1_2);
  const density = mul(u, exp(sub(Math.log(2 / Math.sqrt(Math.PI)), mul(u, u))));
  return mul(mul(g, 0.5), add(add(erf(u), density), 1));
});

const whereOp = defineOp<readonly [Value, Value, Value], Record<string, never>>({
  name: "Where",
  shape: ([c, a, b]) => {
    if (c.dtype !== "bool") throw new TypeError(`Where: the condition is ${c.dtype}, expected bool`);
    return broadcastShapes("Where", c.shape, broadcastShapes("Where", a.shape, b.shape));
  },
  dtype: ([, a]) => a.dtype,
  grad: ({ g, inputs: [c] }) => [null, () => where(c, g, 0), () => where(c, 0, g)],
  onnx: (e, names) => e.op("Where", names),
});

/** a where the `bool` condition is true, else b. */
export function where(condition: Value, a: Operand, b: Operand): Value {
  return whereOp([condition, lift(a, b), lift(b, a)], {});
}

const castOp = defineOp<readonly [Value], { dtype: DType }>({
  name: "Cast",
  shape: ([x]) => x.shape,
  dtype: (_, { dtype }) => dtype,
  grad: "none",
  onnx: (e, names, { dtype }) => e.op("Cast", names, { to: { i: elementType[dtype] } }),
});

/** Converts to another dtype; no gradient passes. */
export function cast(x: Value, dtype: DType): Value {
  return x.dtype === dtype ? x : castOp([x], { dtype });
}

const clipOp = defineOp<readonly [Value], { low: number; high: number }>({
  name: "Clip",
  shape: ([x]) => x.shape,
  grad: ({ g, y, inputs: [x] }) => [where(equal(x, y), g, 0)],
  onnx: (e, [x], { low, high }) => e.op("Clip", [x, e.scalar(low), e.scalar(high)]),
});

/** Limits x to `[low, high]`; no gradient outside. */
export function clip(x: Value, low: number, high: number): Value {
  return clipOp([x], { low, high });
}
