/** Exponential moving averages of weights (Polyak and Juditsky 1992), which often predict better than the weights. */
import { asF32, type StateDict, type TensorOf } from "../tensor.js";

/**
 * Averages of weights by key: a = d a + (1 - d) w after each step, where d = min(decay, (1 + t) / (10 + t)) at step t,
 * counted from 0, so that the first weights are soon forgotten. A weight's average starts as the weight when it is first
 * updated.
 *
 * @example
 * const average = new MovingAverage(0.999);
 * average.update(weights, ["fc.weight"], 0); // after the first step
 * average.exchange(weights); // predict with the averages ...
 * average.exchange(weights); // ... and train on
 */
export class MovingAverage {
  readonly #decay: number;
  readonly #averages = new Map<string, TensorOf<"f32">>();

  constructor(decay: number) {
    this.#decay = decay;
  }

  /** The averages by key. */
  get values(): StateDict {
    return this.#averages;
  }

  /** Takes in the weights of `keys` after step `step`. Throws `RangeError` for a key that `weights` does not have. */
  update(weights: StateDict, keys: Iterable<string>, step: number): void {
    const d = Math.min(this.#decay, (1 + step) / (10 + step));
    for (const key of keys) {
      const weight = weightOf(weights, key);
      const average = this.#averages.get(key);
      if (average === undefined) {
        this.#averages.set(key, { ...weight, data: weight.data.slice() });
        continue;
      }
      const [a, w] = [average.data, weight.data];
      for (let i = 0; i < a.length; i++) a[i] = d * (a[i] ?? 0) + (1 - d) * (w[i] ?? 0);
    }
  }

  /** Exchanges the values of averages and weights, in place; a second call restores both. */
  exchange(weights: StateDict): void {
    for (const [key, { data }] of this.#averages) {
      const weight = weightOf(weights, key);
      const before = weight.data.slice();
      weight.data.set(data);
      data.set(before);
    }
  }

  /** Replaces the averages by those of a checkpoint. */
  restore(averages: StateDict): void {
    this.#averages.clear();
    for (const [key, tensor] of averages) {
      const { data, ...rest } = asF32(tensor, key);
      this.#averages.set(key, { ...rest, data: data.slice() });
    }
  }
}

function weightOf(weights: StateDict, key: string): TensorOf<"f32"> {
  const weight = weights.get(key);
  if (weight === undefined) throw new RangeError(`moving average: no weight ${key}`);
  return asF32(weight, key);
}
