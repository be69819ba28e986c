/** Taking batches of clips apart for models that run a fixed number of clips, and putting their logits together. */
import { sizeOf, type Tensor, type TensorOf } from "../tensor.js";
import type { ClipBatch } from "./predictor.js";

/** The number of clips of `frameCount` frames in a batch. Throws `RangeError` when its frames are not whole clips. */
export function countClips({ frames }: ClipBatch, frameCount: number): number {
  const count = frames.shape[0] ?? 0;
  const clips = count / frameCount;
  if (Number.isInteger(clips) && clips >= 1) return clips;
  throw new RangeError(`predict: ${count} frames are not whole clips of ${frameCount}`);
}

/** Clips `first` to `first + count` of a batch; beyond its end the last clip is repeated. */
export function clipsOf(
  batch: ClipBatch,
  { first, count, frameCount }: { first: number; count: number; frameCount: number },
): ClipBatch {
  const clips = countClips(batch, frameCount);
  if (first === 0 && clips === count) return batch;
  const indices = Array.from({ length: count }, (_, i) => Math.min(first + i, clips - 1));
  const picked = <T extends Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>>(
    { data, shape }: Pick<Tensor, "shape"> & { readonly data: T },
    out: T,
  ) => {
    const size = frameCount * sizeOf(shape.slice(1));
    indices.forEach((clip, i) => {
      out.set(data.subarray(clip * size, (clip + 1) * size), i * size);
    });
    return { shape: [count * frameCount, ...shape.slice(1)], data: out };
  };
  const length = ({ shape }: Pick<Tensor, "shape">) => count * frameCount * sizeOf(shape.slice(1));
  return {
    frames: { dtype: "u8", ...picked(batch.frames, new Uint8Array(length(batch.frames))) },
    logMel: { dtype: "f32", ...picked(batch.logMel, new Float32Array(length(batch.logMel))) },
    keep: { dtype: "f32", ...picked(batch.keep, new Float32Array(length(batch.keep))) },
  };
}

/** Logits of several runs in one tensor of `frames` frames. */
export function joinLogits(parts: readonly TensorOf<"f32">[], frames: number): TensorOf<"f32"> {
  const [first] = parts;
  if (first === undefined) throw new RangeError("predict: no clips");
  const rest = first.shape.slice(1);
  const size = frames * sizeOf(rest);
  if (parts.length === 1 && first.data.length === size) return first;
  const data = new Float32Array(size);
  let at = 0;
  for (const part of parts) {
    data.set(part.data.subarray(0, size - at), at);
    at += part.data.length;
  }
  return { dtype: "f32", shape: [frames, ...rest], data };
}
