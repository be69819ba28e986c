/** Masks laid over frames, for people to look at. */
import { type Image, imageSize, resizeBilinear, resizeNearest } from "../media/resize.js";

/** Red, green and blue, 0 to 255. */
export type Color = readonly [red: number, green: number, blue: number];

/** How much of the frame's light is left outside the mask, and how much of its colour. */
const DIM = 0.72;
const colorLeft = 0.3;
/** How much of the label's colour covers the frame inside the mask. */
const COVER = 0.42;
/** Width of the outline, in pixels of a picture of 224. */
const OUTLINE = 2;

/**
 * Tints `frame` where `labels` is not zero in its label's colour, with an outline; the rest goes dim and
 * greyish, so that the mask stands out on any frame. Small frames are enlarged to at least `minSide` pixels.
 *
 * @param frame `u8[H,W,3]`.
 * @param labels `u8[H,W]`.
 */
export function overlay(
  frame: Image,
  labels: Image,
  colorOf: (label: number) => Color,
  minSide = 200,
): Image {
  const size = imageSize(frame);
  const scale = Math.max(1, Math.ceil(minSide / Math.min(size.height, size.width)));
  const [height, width] = [size.height * scale, size.width * scale];
  const { data: pixels } = scale === 1 ? frame : resizeBilinear(frame, height, width);
  const { data: marks } = scale === 1 ? labels : resizeNearest(labels, height, width);
  const reach = Math.max(1, Math.round((OUTLINE * Math.min(height, width)) / 224));
  const out = new Uint8Array(pixels.length);
  for (let i = 0; i < marks.length; i++) {
    const label = marks[i] as number;
    const [red, green, blue] = [
      pixels[3 * i] as number,
      pixels[3 * i + 1] as number,
      pixels[3 * i + 2] as number,
    ];
    if (label === 0) {
      const grey = (1 - colorLeft) * (0.299 * red + 0.587 * green + 0.114 * blue);
      out.set(
        [red, green, blue].map((light) => DIM * (colorLeft * light + grey)),
        3 * i,
      );
      continue;
    }
    const cover = isEdge(marks, i, reach, width, height) ? 1 : COVER;
    const tint = colorOf(label);
    out.set(
      [red, green, blue].map((light, c) => light * (1 - cover) + (tint[c] as number) * cover),
      3 * i,
    );
  }
  return { dtype: "u8", shape: [height, width, 3], data: out };
}

/** Whether a pixel at most `reach` steps away in each direction has another label. */
function isEdge(marks: Uint8Array, i: number, reach: number, width: number, height: number): boolean {
  const x = i % width;
  const y = (i - x) / width;
  for (let ny = Math.max(0, y - reach); ny <= Math.min(height - 1, y + reach); ny++) {
    for (let nx = Math.max(0, x - reach); nx <= Math.min(width - 1, x + reach); nx++) {
      if (marks[ny * width + nx] !== marks[i]) return true;
    }
  }
  return false;
}

/**
 * A colour for label `k`, bright and far in hue from those of its neighbours. (The palette of label images is
 * made to be decoded: many of its colours are too dark or too grey to be seen on a frame.)
 */
export function labelColor(k: number): Color {
  const hue = (k * 137.508 + 20) % 360; // the golden angle
  const channel = (offset: number): number => {
    const position = (offset + hue / 30) % 12;
    const share = Math.max(-1, Math.min(position - 3, 9 - position, 1));
    return Math.round(255 * (0.58 - 0.36 * share));
  };
  return [channel(0), channel(8), channel(4)];
}
