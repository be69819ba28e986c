/**
 * Mamba: a selective state-space layer over a sequence (Gu and Dao 2023, "Mamba: linear-time sequence modeling with
 * selective state spaces"). State-dict keys as in the authors' package `mamba-ssm` (Apache-2.0).
 *
 * G sequences of T steps, C channels, I inner channels, S states of each inner channel.
 */
import {
  add,
  constant,
  conv1d,
  dim,
  exp,
  matmul,
  mul,
  neg,
  reshape,
  shape3,
  silu,
  softplus,
  split,
  sum,
  transpose,
  type Value,
} from "../graph/index.js";
import { full } from "../tensor.js";
import { ones, torchDefault, valuesInit } from "./init.js";
import { linear, projection } from "./linear.js";
import type { Scope } from "./scope.js";

/** Sizes of a Mamba. */
export interface MambaSizes {
  readonly width: number;
  /** Inner channels per channel. Default: 2. */
  readonly expansion?: number | undefined;
  /** States per inner channel. Default: 16. */
  readonly states?: number | undefined;
  /** Steps that the causal convolution sees. Default: 4. */
  readonly kernel?: number | undefined;
}

/** Builds the layer's parameters under `scope`.  x `[G,T,C]` -> `[G,T,C]`; a step depends on itself and earlier ones. */
export function mamba(
  scope: Scope,
  { width, expansion = 2, states = 16, kernel = 4 }: MambaSizes,
): (x: Value) => Value {
  const inner = expansion * width;
  const rank = Math.ceil(width / 16);
  const enter = projection(scope.at("in_proj"), width, 2 * inner);
  const convolution = scope.at("conv1d");
  const weight = convolution.param("weight", [inner, 1, kernel], torchDefault(kernel));
  const bias = convolution.param("bias", [inner], torchDefault(kernel));
  const select = projection(scope.at("x_proj"), inner, rank + 2 * states);
  const stepSize = linear(scope.at("dt_proj"), rank, inner);
  const rates = Array.from({ length: inner * states }, (_, i) => Math.log(1 + (i % states)));
  const decayRate = scope.param("A_log", [inner, states], valuesInit(rates));
  const skip = scope.param("D", [inner], ones);
  const leave = projection(scope.at("out_proj"), inner, width);

  return (x) => {
    const [main, gate] = split(enter(x), 2, [inner, inner]);
    const turned = transpose(main, [0, 2, 1]); // [G,I,T]
    const mixed = conv1d(turned, weight, bias, { before: kernel - 1, groups: inner });
    const u = silu(transpose(mixed, [0, 2, 1])); // [G,T,I]
    const [low, b, c] = split(select(u), 2, [rank, states, states]);
    const dt = softplus(stepSize(low)); // [G,T,I]
    const y = selectiveScan({ u, dt, a: neg(exp(decayRate)), b, c });
    return leave(mul(add(y, mul(u, skip)), silu(gate)));
  };
}

/** What a selective scan is made of: u and dt `[G,T,I]`, a `[I,S]`, b and c `[G,T,S]`. */
interface Scan {
  readonly u: Value;
  readonly dt: Value;
  readonly a: Value;
  readonly b: Value;
  readonly c: Value;
}

/**
 * y_t = <h_t, c_t> with h_t = exp(dt_t a) h_(t-1) + dt_t u_t b_t, h = 0 at first.  -> `[G,T,I]`
 *
 * Written out: y_t is the sum over s <= t of <c_t, exp(a (dt_(s+1) + ... + dt_t)) b_s> dt_s u_s. That is quadratic in T but
 * takes no loop; clips have ten steps at most.
 */
function selectiveScan({ u, dt, a, b, c }: Scan): Value {
  const [batch, steps, inner] = shape3(dt, "selectiveScan");
  const states = dim(a, 1);
  const elapsed = reshape(matmul(stepsBetween(steps), dt), [batch, steps, steps, inner, 1]); // from s to t
  const products = mul(reshape(c, [batch, steps, 1, states]), reshape(b, [batch, 1, steps, states]));
  const causal = mul(products, upToNow(steps)); // [G,T,T,S]
  const decayed = mul(exp(mul(elapsed, a)), reshape(causal, [batch, steps, steps, 1, states]));
  const kernel = sum(decayed, { axes: [4] }); // [G,T,T,I]
  return sum(mul(kernel, reshape(mul(dt, u), [batch, 1, steps, inner])), { axes: [2] });
}

/** `[T*T,T]`: row (t,s) has ones for the steps after s up to t. */
function stepsBetween(steps: number): Value {
  const rows = full([steps * steps, steps]);
  for (let t = 0; t < steps; t++) {
    for (let s = 0; s < t; s++)
      rows.data.fill(1, (t * steps + s) * steps + s + 1, (t * steps + s) * steps + t + 1);
  }
  return constant(rows);
}

/** `[T,T,1]`: 1 for s <= t. */
function upToNow(steps: number): Value {
  const mask = full([steps, steps, 1]);
  for (let t = 0; t < steps; t++) mask.data.fill(1, t * steps, t * steps + t + 1);
  return constant(mask);
}
