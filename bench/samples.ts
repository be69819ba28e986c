/** What all measurements are made of: random inputs of the published size, and medians. */
import type { Clip } from "../src/datasets/clip.js";
import type { Task } from "../src/models/model-config.js";
import { Random } from "../src/random.js";
import { f32, full, type Shape, sizeOf, type TensorOf } from "../src/tensor.js";
import { labeledFrames } from "../src/training/counted-frames.js";

/** Frames of a clip of S4 and MS3. */
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

/** A training clip of random frames, sounds and masks. */
export function randomClip(
  id: number,
  model: { readonly task: Task; readonly frameCount: number } = { task: "s4", frameCount },
): Clip {
  const labeled = Array.from({ length: labeledFrames(model) }, (_, frame) => frame);
  const masks = randomBytes([labeled.length, imageSize, imageSize]);
  return {
    id: `clip ${id}`,
    category: "",
    frames: randomBytes([model.frameCount, imageSize, imageSize, 3]),
    logMel: noise([model.frameCount, 1, 96, 64], 3),
    masks: { ...masks, data: masks.data.map((v) => v & 1) },
    labeled,
    frameMask: full([model.frameCount], 1),
  };
}

/** The value in the middle. */
export function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
