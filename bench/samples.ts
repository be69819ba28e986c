/** What all measurements are made of: random inputs of the published size, and medians. */
import { Random } from "../src/random.js";
import { f32, type Shape, sizeOf, type TensorOf } from "../src/tensor.js";

/** Frames of a clip. */
export const frameCount = 5;
/** Height and width of a frame. */
export const imageSize = 224;

const random = new Random(1);

/** Uniform in `-scale..scale`. */
export function noise(shape: Shape, scale: number): TensorOf<"f32"> {
  return f32(
    Float32Array.from({ length: sizeOf(shape) }, () => random.uniform(-scale, scale)),
    shape,
  );
}

/** Any byte. */
export function randomBytes(shape: Shape): TensorOf<"u8"> {
  const data = Uint8Array.from({ length: sizeOf(shape) }, () => random.integer(256));
  return { dtype: "u8", shape, data };
}

/** The value in the middle. */
export function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
