/** Pixel noise of generated frames. */
import { f32At } from "../../arrays.js";
import { Random } from "../../random.js";

/** A prime number of draws, so that rows that start anywhere in the table do not repeat each other. */
const noiseLength = 16381;
let noiseTable: Float32Array | undefined;

/** Adds noise and rounds to bytes. Rows read a fixed table of normal draws from random places. */
export function addNoise(
  pixels: Float32Array,
  image: Uint8Array,
  { noise, random, rowLength }: { noise: number; random: Random; rowLength: number },
): void {
  if (noiseTable === undefined) {
    const draws = new Random(0x5011d);
    noiseTable = new Float32Array(noiseLength).map(() => draws.normal());
  }
  const table = noiseTable;
  for (let start = 0; start < pixels.length; start += rowLength) {
    let at = random.integer(noiseLength);
    for (let i = start; i < start + rowLength; i++) {
      const value = f32At(pixels, i) + noise * f32At(table, at) + 0.5;
      image[i] = Math.min(255, Math.max(0, value));
      at = at + 1 === noiseLength ? 0 : at + 1;
    }
  }
}
