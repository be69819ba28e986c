/** Clips of a dataset as the batches that models take. */
import type { ClipBatch } from "../inference/predictor.js";
import { sizeOf, type TensorOf } from "../tensor.js";
import type { Clip } from "./clip.js";

/** Joins clips into what a model takes. All must have the same T, H and W, and the same form of sound. */
export function toClipBatch(clips: readonly Clip[]): ClipBatch {
  const first = clips[0];
  if (first === undefined) throw new RangeError("a batch holds at least one clip");
  const steps = clips.length * (first.frames.shape[0] ?? 0);
  const frames = new Uint8Array(clips.length * first.frames.data.length);
  for (const [i, clip] of clips.entries()) frames.set(clip.frames.data, i * first.frames.data.length);
  const [logMels, sounds] = [
    clips.flatMap(({ logMel }) => logMel ?? []),
    clips.flatMap(({ sound }) => sound ?? []),
  ];
  return {
    frames: { dtype: "u8", shape: [steps, ...first.frames.shape.slice(1)], data: frames },
    ...(logMels.length === clips.length && {
      logMel: joined(logMels, [steps, ...(first.logMel?.shape.slice(1) ?? [])]),
    }),
    ...(sounds.length === clips.length && {
      sound: joined(sounds, [clips.length, first.sound?.data.length ?? 0]),
    }),
    frameMask: joined(
      clips.map(({ frameMask }) => frameMask),
      [steps],
    ),
  };
}

/** The values of all tensors, one after another, in one of the shape. */
function joined(tensors: readonly TensorOf<"f32">[], shape: readonly number[]): TensorOf<"f32"> {
  const data = new Float32Array(sizeOf(shape));
  for (const [i, tensor] of tensors.entries()) data.set(tensor.data, i * tensor.data.length);
  return { dtype: "f32", shape, data };
}
