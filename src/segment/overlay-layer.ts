/** The layer that an overlay video shows over one picture. */
import type { FrameSize } from "../media/video.js";
import { overlayColor } from "./mask.js";
import { type Marks, type ProbabilityMap, upsample } from "./probability-map.js";

/** Alpha by the number of marked pixels among the nine around one. */
const alphas = Uint8Array.from({ length: 10 }, (_, count) => Math.round((count * 255) / 9));

/** Red, green and blue as the low 24 bits of a little-endian RGBA pixel. */
const packed = ([red, green, blue]: readonly [number, number, number]) => red | (green << 8) | (blue << 16);

/**
 * Straight-alpha RGBA, `u8[height,width,4]`: every pixel has the color of its likeliest class, the unmarked ones too, so
 * that scaling leaves no fringe. Alpha is 255 inside of what is marked, 0 outside, and passes 128 at its edge, over three
 * pixels.
 */
export function overlayLayer(
  map: ProbabilityMap,
  marks: Marks | undefined,
  { width, height, labelNames }: FrameSize & { readonly labelNames: readonly string[] },
): Uint8Array {
  const pixels = new Uint8Array(width * height * 4);
  const [only = 0, ...others] = map.activeClasses;
  if (only === 0) return pixels;
  const rgba = new Uint32Array(pixels.buffer);
  const colors = new Map(
    map.activeClasses.map((index) => [index, packed(overlayColor(index, labelNames))] as const),
  );
  /** How many of the three pixels around each one in its row are marked. */
  const counts = new Uint8Array(width * height);
  const count = (i: number, x: number) => {
    counts[i]!++;
    counts[x > 0 ? i - 1 : i]!++;
    counts[x < width - 1 ? i + 1 : i]!++;
  };
  if (others.length === 0 && marks?.width === width && marks.height === height) {
    for (let i = 0; i < counts.length; i++) if (marks.levels[i]! > 127) count(i, i % width);
    rgba.fill(colors.get(only)!);
  } else {
    for (const { y, labels, fraction } of upsample(map, { width, height }, { marks })) {
      for (let x = 0, i = y * width; x < width; x++, i++) {
        if (fraction[x]! > 0.5) count(i, x);
        rgba[i] = colors.get(labels[x]!)!;
      }
    }
  }
  for (let y = 0, i = 0; y < height; y++) {
    const up = y > 0 ? width : 0;
    const down = y < height - 1 ? width : 0;
    for (let x = 0; x < width; x++, i++) {
      rgba[i]! |= alphas[counts[i - up]! + counts[i]! + counts[i + down]!]! << 24;
    }
  }
  return pixels;
}
