/** Noise of generated frames and sounds. */
import { f32At } from "../../arrays.js";
import { Random } from "../../random.js";

/** Normal draws, made once: drawing every one anew would take most of the time of a clip. */
function normalTable(seed: number, length: number): () => Float32Array {
  let table: Float32Array | undefined;
  return () => {
    const draws = new Random(seed);
    table ??= new Float32Array(length).map(() => draws.normal());
    return table;
  };
}

/** A prime number of draws, so that rows that start anywhere in the table do not repeat each other. */
const pixelDraws = 16381;
const pixelNoise = normalTable(0x5011d, pixelDraws);

/** Adds noise and rounds to bytes. Rows read a fixed table of normal draws from random places. */
export function addNoise(
  pixels: Float32Array,
  image: Uint8Array,
  { noise, random, rowLength }: { noise: number; random: Random; rowLength: number },
): void {
  const table = pixelNoise();
  for (let start = 0; start < pixels.length; start += rowLength) {
    let at = random.integer(pixelDraws);
    for (let i = start; i < start + rowLength; i++) {
      const value = f32At(pixels, i) + noise * f32At(table, at) + 0.5;
      image[i] = Math.min(255, Math.max(0, value));
      at = at + 1 === pixelDraws ? 0 : at + 1;
    }
  }
}

/** Four seconds at 16 kHz. */
const soundDraws = 65521;
const soundNoise = normalTable(0x50a2d, soundDraws);

/** White noise of standard deviation 1, sample by sample: a fixed table from a random position on. */
export function whiteNoise(random: Random): () => number {
  const table = soundNoise();
  let at = random.integer(soundDraws);
  return () => {
    at = at + 1 === soundDraws ? 0 : at + 1;
    return f32At(table, at);
  };
}

/** Adds white noise, slightly stronger at low frequencies, of a root mean square of `level`. */
export function addNoiseFloor(out: Float32Array, level: number, random: Random): void {
  const noise = whiteNoise(random);
  let low = 0;
  for (let i = 0; i < out.length; i++) {
    const white = noise();
    low += 0.2 * (white - low);
    out[i] = f32At(out, i) + level * (0.7 * white + 2 * low);
  }
}
