/** Initial values of parameters: functions of the seed and the parameter's key alone, the same on every machine. */
import { at } from "../arrays.js";
import { hashText, Random } from "../random.js";
import { full, type Shape, sizeOf, type TensorOf } from "../tensor.js";

/** How a parameter starts: one value, uniform in `[-bound, bound)`, normal around 0, or values in row-major order. */
export type Initializer =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "uniform"; readonly bound: number }
  | { readonly kind: "normal"; readonly deviation: number }
  | { readonly kind: "values"; readonly values: readonly number[] };

/** Every element is `value`. */
export function constantInit(value: number): Initializer {
  return { kind: "constant", value };
}

/** Zeros. */
export const zeros: Initializer = constantInit(0);
/** Ones. */
export const ones: Initializer = constantInit(1);

/** Normal around 0, not truncated: the published truncation at +-2 is 100 deviations away. */
export function normalInit(deviation: number): Initializer {
  return { kind: "normal", deviation };
}

/** The given values, in row-major order. */
export function valuesInit(values: readonly number[]): Initializer {
  return { kind: "values", values };
}

/** Kaiming-uniform with negative slope `a`: bound sqrt(6 / ((1 + a^2) fanIn)) (He et al. 2015). */
export function kaimingUniform(fanIn: number, a: number): Initializer {
  return { kind: "uniform", bound: Math.sqrt(6 / ((1 + a * a) * fanIn)) };
}

/** PyTorch's default for weights and biases of linear layers and convolutions: bound 1 / sqrt(fanIn). */
export function torchDefault(fanIn: number): Initializer {
  return { kind: "uniform", bound: 1 / Math.sqrt(fanIn) };
}

/** Xavier-uniform: bound sqrt(6 / (fanIn + fanOut)) (Glorot and Bengio 2010). */
export function xavierUniform(fanIn: number, fanOut: number): Initializer {
  return { kind: "uniform", bound: Math.sqrt(6 / (fanIn + fanOut)) };
}

/** The initial tensor of parameter `key`. */
export function initialTensor(
  { key, shape, init }: { readonly key: string; readonly shape: Shape; readonly init: Initializer },
  seed: number,
): TensorOf<"f32"> {
  if (init.kind === "constant") return full(shape, init.value);
  if (init.kind === "values") {
    const data = Float32Array.from(init.values);
    if (data.length === sizeOf(shape)) return { dtype: "f32", shape, data };
    throw new RangeError(`${key}: ${data.length} initial values do not fill [${shape}]`);
  }
  const random = new Random(seed, hashText(key));
  const size = sizeOf(shape);
  const data = new Float32Array(size);
  const perDraw = 1 / 2 ** 32;
  // Drawn in pieces, so that a large weight needs no second array of its size.
  const bits = new Uint32Array(Math.min(2 * Math.ceil(size / 2), 1 << 16));
  for (let start = 0; start < size; start += bits.length) {
    random.fillBits(bits);
    const count = Math.min(bits.length, size - start);
    if (init.kind === "uniform") {
      for (let i = 0; i < count; i++) data[start + i] = (2 * at(bits, i) * perDraw - 1) * init.bound;
      continue;
    }
    for (let i = 0; i < count; i += 2) {
      const radius = init.deviation * Math.sqrt(-2 * Math.log(1 - at(bits, i) * perDraw));
      const angle = 2 * Math.PI * at(bits, i + 1) * perDraw;
      data[start + i] = radius * Math.cos(angle);
      if (i + 1 < count) data[start + i + 1] = radius * Math.sin(angle);
    }
  }
  return { dtype: "f32", shape, data };
}
