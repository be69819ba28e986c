/** Clips of a dataset as the batches that models take. */
import type { ClipBatch } from "../inference/predictor.js";
import type { TensorOf } from "../tensor.js";
import type { Clip } from "./clip.js";

/** Joins clips into what a model takes. All must have the same T, H and W. */
export function toClipBatch(clips: readonly Clip[]): ClipBatch {
  const first = clips[0];
  if (first === undefined) throw new RangeError("a batch holds at least one clip");
  const steps = clips.length * (first.frames.shape[0] ?? 0);
  const frames = new Uint8Array(clips.length * first.frames.data.length);
  const logMel = new Float32Array(clips.length * first.logMel.data.length);
  const frameMask = new Float32Array(steps);
  for (const [i, clip] of clips.entries()) {
    frames.set(clip.frames.data, i * first.frames.data.length);
    logMel.set(clip.logMel.data, i * first.logMel.data.length);
    frameMask.set(clip.frameMask.data, i * first.frameMask.data.length);
  }
  const sounds = clips.flatMap(({ sound }) => sound ?? []);
  return {
    ...(sounds.length === clips.length && { sound: joinSounds(sounds) }),
    frames: { dtype: "u8", shape: [steps, ...first.frames.shape.slice(1)], data: frames },
    logMel: { dtype: "f32", shape: [steps, ...first.logMel.shape.slice(1)], data: logMel },
    frameMask: { dtype: "f32", shape: [steps], data: frameMask },
  };
}

/** `f32[S]` each -> `f32[B,S]` */
function joinSounds(sounds: readonly TensorOf<"f32">[]): TensorOf<"f32"> {
  const samples = sounds[0]?.data.length ?? 0;
  const data = new Float32Array(sounds.length * samples);
  for (const [i, sound] of sounds.entries()) data.set(sound.data, i * samples);
  return { dtype: "f32", shape: [sounds.length, samples], data };
}
