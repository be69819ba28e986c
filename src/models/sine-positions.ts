/** Sine position encoding of a grid (Carion et al. 2020, as the published spatial attention has it). */
import { constant, type Value } from "../graph/index.js";

/**
 * `[1,height*width,channels]`: half of the channels encode y, then half x. Coordinates count from 1; with F
 * features per axis, angle i is coordinate / 10000^(2 floor(i/2) / F), its sine for even i, cosine for odd.
 */
export function sinePositions(height: number, width: number, channels: number): Value {
  const features = channels / 2;
  if (!Number.isInteger(features)) {
    throw new RangeError(`position encoding: ${channels} channels are not even`);
  }
  const data = new Float32Array(height * width * channels);
  const encode = (offset: number, coordinate: number) => {
    for (let i = 0; i < features; i++) {
      const angle = coordinate / 10000 ** ((2 * Math.floor(i / 2)) / features);
      data[offset + i] = i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    }
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const offset = (y * width + x) * channels;
      encode(offset, y + 1);
      encode(offset + features, x + 1);
    }
  }
  return constant({ dtype: "f32", shape: [1, height * width, channels], data });
}
