/** Frames as models take them. */
import { cast, constant, mul, sub, transpose, type Value } from "../graph/index.js";

/** Mean of ImageNet's red, green and blue, on the scale 0 to 1. */
export const frameMean = [0.485, 0.456, 0.406] as const;
/** Their standard deviation. */
export const frameDeviation = [0.229, 0.224, 0.225] as const;

/** RGB `u8[N,H,W,3]` -> `f32[N,3,H,W]`: (x / 255 - mean) / deviation. */
export function normalizeFrames(frames: Value): Value {
  const perChannel = (values: readonly number[]) =>
    constant({ dtype: "f32", shape: [3, 1, 1], data: Float32Array.from(values) });
  const planes = transpose(cast(frames, "f32"), [0, 3, 1, 2]);
  const centred = sub(planes, perChannel(frameMean.map((m) => 255 * m)));
  return mul(centred, perChannel(frameDeviation.map((d) => 1 / (255 * d))));
}
