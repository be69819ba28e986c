/**
 * Optimizers over flat arrays, with the update rules of PyTorch's `torch.optim`, element for element. The arithmetic is
 * done in float64 and rounded once per stored value. State is kept by the name of the parameter, its step count too, so a
 * parameter that starts to train late (an encoder that is unfrozen at epoch 10) gets the bias correction of its own first
 * step, as in PyTorch.
 */
import { CheckpointError } from "../errors.js";
import { describe, type StateDict, type Tensor, type TensorOf } from "../tensor.js";

/** A parameter that `step` updates in place. A gradient that is `undefined` counts as zeros. */
export interface Trainable {
  readonly name: string;
  readonly value: TensorOf<"f32">;
  readonly gradient: Float32Array | Float64Array | undefined;
}

/** The rule of an optimizer and its settings. */
export type OptimizerConfig =
  | {
      readonly kind: "adamw" | "adam";
      /** Decay rates of the first and second moments. Default: 0.9 and 0.999. */
      readonly betas?: readonly [number, number] | undefined;
      /** Default: 1e-8. */
      readonly eps?: number | undefined;
      /** Default: 0.01 for `adamw`, 0 for `adam`. */
      readonly weightDecay?: number | undefined;
    }
  | {
      readonly kind: "sgd";
      /** Default: 0. */
      readonly momentum?: number | undefined;
      /** Default: false. */
      readonly nesterov?: boolean | undefined;
      /** Default: 0. */
      readonly weightDecay?: number | undefined;
    };

/** An optimizer with its state. */
export interface Optimizer {
  /** Updates every parameter in place, once. Throws `RangeError` when a gradient has the wrong length. */
  step(parameters: readonly Trainable[], learningRate: number): void;
  /** The state that a resumed run needs: `<parameter>.<slot>` and `<parameter>.step`. The arrays are shared. */
  state(): StateDict;
  /** Replaces the state by one that `state` returned. Throws `CheckpointError` for the state of another rule. */
  restore(state: StateDict): void;
}

interface Slots {
  step: number;
  readonly arrays: readonly Float32Array<ArrayBuffer>[];
}

/** Updates `p` in place; `t` counts this parameter's steps from 1. */
type Rule = (
  p: Float32Array,
  g: Float32Array | Float64Array,
  slots: readonly Float32Array[],
  t: number,
  lr: number,
) => void;

/**
 * Makes an optimizer. The defaults are PyTorch's.
 *
 * - `adamw` (Loshchilov and Hutter 2019): m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
 *   p = (1 - lr decay) p - lr m' / (sqrt(v') + eps), where m' = m / (1 - b1^t) and v' = v / (1 - b2^t).
 * - `adam` (Kingma and Ba 2015): the same with g + decay p in place of g, and without the factor on p.
 * - `sgd`: b = momentum b + g + decay p;  p = p - lr b, or with Nesterov p - lr (g + decay p + momentum b).
 *
 * ```ts
 * const optimizer = createOptimizer({ kind: "adamw", weightDecay: 0.05 });
 * optimizer.step([{ name: "fc.weight", value, gradient }], 1e-3); // updates value.data in place
 * ```
 *
 * @throws `RangeError` for Nesterov without momentum.
 */
export function createOptimizer(config: OptimizerConfig): Optimizer {
  if (config.kind === "sgd") {
    const { momentum = 0, nesterov = false, weightDecay = 0 } = config;
    if (nesterov && momentum <= 0) throw new RangeError("sgd: expected a momentum above 0 with nesterov");
    return optimizerOf(momentum === 0 ? [] : ["momentum_buffer"], sgd(momentum, nesterov, weightDecay));
  }
  const { betas = [0.9, 0.999], eps = 1e-8 } = config;
  const decoupled = config.kind === "adamw";
  const weightDecay = config.weightDecay ?? (decoupled ? 0.01 : 0);
  return optimizerOf(["exp_avg", "exp_avg_sq"], adam({ betas, eps, decay: weightDecay, decoupled }));
}

interface AdamSettings {
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly decay: number;
  readonly decoupled: boolean;
}

// m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p -= lr/(1-b1^t) * m / (sqrt(v / (1-b2^t)) + eps)
function adam({ betas: [b1, b2], eps, decay, decoupled }: AdamSettings): Rule {
  return (p, g, [m, v], t, lr) => {
    if (!m || !v) throw new RangeError("adam: state is missing");
    const stepSize = lr / (1 - b1 ** t);
    const rootCorrection = Math.sqrt(1 - b2 ** t);
    const factor = decoupled ? 1 - lr * decay : 1;
    const l2 = decoupled ? 0 : decay;
    for (let i = 0; i < p.length; i++) {
      const x = p[i] as number;
      const d = (g[i] as number) + l2 * x;
      const mi = b1 * (m[i] as number) + (1 - b1) * d;
      const vi = b2 * (v[i] as number) + (1 - b2) * d * d;
      m[i] = mi;
      v[i] = vi;
      p[i] = x * factor - (stepSize * mi) / (Math.sqrt(vi) / rootCorrection + eps);
    }
  };
}

// d = g + decay p;  b = d at the first step, then momentum b + d;  p -= lr (d + momentum b | b)
function sgd(momentum: number, nesterov: boolean, decay: number): Rule {
  return (p, g, [b], t, lr) => {
    const carried = t === 1 ? 0 : momentum;
    for (let i = 0; i < p.length; i++) {
      const x = p[i] as number;
      const d = (g[i] as number) + decay * x;
      let direction = d;
      if (b) {
        const bi = carried * (b[i] as number) + d;
        b[i] = bi;
        direction = nesterov ? d + momentum * bi : bi;
      }
      p[i] = x - lr * direction;
    }
  };
}

function optimizerOf(slotNames: readonly string[], rule: Rule): Optimizer {
  const slots = new Map<string, Slots>();
  let zeros = new Float32Array(0);
  return {
    step(parameters, learningRate) {
      for (const { name, value, gradient } of parameters) {
        const size = value.data.length;
        if (gradient && gradient.length !== size) {
          throw new RangeError(
            `optimizer: ${name} has ${size} values, but its gradient has ${gradient.length}`,
          );
        }
        if (!gradient && zeros.length < size) zeros = new Float32Array(size);
        let own = slots.get(name);
        if (!own) {
          own = { step: 0, arrays: slotNames.map(() => new Float32Array(size)) };
          slots.set(name, own);
        }
        own.step++;
        rule(value.data, gradient ?? zeros, own.arrays, own.step, learningRate);
      }
    },
    state() {
      const out = new Map<string, Tensor>();
      for (const [name, { step, arrays }] of slots) {
        out.set(`${name}.step`, { dtype: "i64", shape: [], data: BigInt64Array.of(BigInt(step)) });
        arrays.forEach((data, i) => {
          out.set(`${name}.${slotNames[i]}`, { dtype: "f32", shape: [data.length], data });
        });
      }
      return out;
    },
    restore(state) {
      slots.clear();
      const expected = 1 + slotNames.length;
      for (const [key, tensor] of state) {
        if (!key.endsWith(".step")) continue;
        const name = key.slice(0, -".step".length);
        if (tensor.dtype !== "i64") throw mismatch(`${key} is ${describe(tensor)}, expected i64[]`);
        const arrays = slotNames.map((slot) => {
          const found = state.get(`${name}.${slot}`);
          if (found?.dtype !== "f32") throw mismatch(`no ${slot} for ${name}`);
          return found.data.slice();
        });
        slots.set(name, { step: Number(tensor.data[0] ?? 0n), arrays });
      }
      if (slots.size * expected !== state.size) throw mismatch(`${state.size} entries do not match`);
    },
  };
}

function mismatch(what: string): CheckpointError {
  return new CheckpointError(`optimizer state: ${what}`, {
    hint: "Set training.optimizer as it was when the checkpoint was written, or start a new run.",
  });
}
