/** Frames as models take them. */
import { cast, constant, mul, sub, transpose, type Value } from "../graph/index.js";

/** What an encoder subtracts from frames and divides them by: red, green and blue on the scale 0 to 1. */
export interface FrameNormalization {
  readonly mean: readonly [number, number, number];
  readonly deviation: readonly [number, number, number];
}

/** Mean and standard deviation of ImageNet's photographs. */
export const imagenetNormalization: FrameNormalization = {
  mean: [0.485, 0.456, 0.406],
  deviation: [0.229, 0.224, 0.225],
};

/** RGB `u8[N,H,W,3]` -> `f32[N,3,H,W]`: (x / 255 - mean) / deviation. */
export function normalizeFrames(frames: Value, { mean, deviation }: FrameNormalization): Value {
  const perChannel = (values: readonly number[]) =>
    constant({ dtype: "f32", shape: [3, 1, 1], data: Float32Array.from(values) });
  const planes = transpose(cast(frames, "f32"), [0, 3, 1, 2]);
  const centered = sub(planes, perChannel(mean.map((m) => 255 * m)));
  return mul(centered, perChannel(deviation.map((d) => 1 / (255 * d))));
}
