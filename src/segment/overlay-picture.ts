/** Pictures that are laid over a video: a translucent fill and an outline for what sounds. */
import { colorOfClass } from "../media/palette.js";
import type { Step } from "./predict-steps.js";
import { enlarge, interpolate, type ProbabilityMap } from "./probability-map.js";

/** Red, green, blue, each 0 to 255. */
export type Color = readonly [red: number, green: number, blue: number];

/** Fill of the binary tasks. */
const SOUNDING: Color = [255, 72, 88];
const FILL_ALPHA = 105;
const OUTLINE_ALPHA = 235;
/** How far the outline goes from the fill's colour towards white. */
const OUTLINE_WHITE = 0.45;
/** The model sees 224 pixels: a picture of this side holds all that it knows, and the video is scaled anyway. */
const LONGEST_SIDE = 960;

/** Colour of a class: that of the label images for several classes, one of its own for the binary tasks. */
export function overlayColor(index: number, classCount: number): Color {
  return classCount <= 2 ? SOUNDING : colorOfClass(index);
}

/** Size of the overlay's pictures for frames of `width` x `height`. */
export function pictureSize(width: number, height: number): { width: number; height: number } {
  const shrink = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * shrink)), height: Math.max(1, Math.round(height * shrink)) };
}

/**
 * Paints what sounds as straight-alpha RGBA, `u8[height,width,4]`. Every pixel carries the colour of its likeliest
 * class, the transparent ones too, so that scaling leaves no fringe.
 */
export function paint(
  map: ProbabilityMap,
  width: number,
  height: number,
  colorOf: (index: number) => Color,
): Uint8Array {
  const pixels = new Uint8Array(width * height * 4);
  if (map.winners.length === 0) return pixels;
  // One 32-bit write per pixel; the order of bytes in memory is R, G, B, A on every platform that Node runs on.
  const rgba = new Uint32Array(pixels.buffer);
  const labels = new Uint16Array(width * height);
  const fills = new Map(map.winners.map((index) => [index, rgb32(colorOf(index), 0)]));
  const outlines = new Map(map.winners.map((index) => [index, rgb32(colorOf(index), OUTLINE_WHITE)]));
  enlarge(map, width, height, (y, index, foreground, background) => {
    let current = -1;
    let color = 0;
    for (let x = 0, at = y * width; x < width; x++, at++) {
      if (index[x] !== current) {
        current = index[x]!;
        color = fills.get(current)!;
      }
      const shown = foreground[x]! > background[x]!;
      rgba[at] = shown ? color | (FILL_ALPHA << 24) : color;
      if (shown) labels[at] = current;
    }
  });
  const reach = Math.max(1, Math.round(Math.max(width, height) / 400));
  for (let y = 0; y < height; y++) {
    const up = y >= reach ? reach * width : 0;
    const down = y < height - reach ? reach * width : 0;
    for (let x = 0, at = y * width; x < width; x++, at++) {
      const label = labels[at]!;
      if (label === 0) continue;
      const inside =
        labels[at - up] === label &&
        labels[at + down] === label &&
        (x < reach || labels[at - reach] === label) &&
        (x >= width - reach || labels[at + reach] === label);
      if (!inside) rgba[at] = outlines.get(label)! | (OUTLINE_ALPHA << 24);
    }
  }
  return pixels;
}

/** A colour, `white` of the way to white, as the low 24 bits of a little-endian RGBA pixel. */
function rgb32(color: Color, white: number): number {
  const [red, green, blue] = color.map((c) => Math.round(c + (255 - c) * white)) as [number, number, number];
  return red | (green << 8) | (blue << 16);
}

/** How pictures are made of steps. */
export interface PictureOptions {
  readonly width: number;
  readonly height: number;
  /** Pictures per second. */
  readonly rate: { readonly numerator: number; readonly denominator: number };
  readonly colorOf: (index: number) => Color;
}

/**
 * Pictures at a constant rate from time zero, the probabilities blended linearly between the steps' times; ends
 * with the last step, whose picture stays. Steps are taken as they are needed, and the iterator is left open.
 */
export async function* overlayPictures(
  steps: AsyncIterator<Step, void, undefined>,
  { width, height, rate, colorOf }: PictureOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const first = await steps.next();
  if (first.done) return;
  let before = first.value;
  let after = before;
  for (let k = 0; ; k++) {
    const time = (k * rate.denominator) / rate.numerator;
    while (time >= after.timeSeconds) {
      const next = await steps.next();
      if (next.done) {
        yield paint(after.map, width, height, colorOf);
        return;
      }
      before = after;
      after = next.value;
    }
    const span = after.timeSeconds - before.timeSeconds;
    const weight = span > 0 ? Math.max(0, (time - before.timeSeconds) / span) : 0;
    const map = weight > 0 ? interpolate(before.map, after.map, weight) : before.map;
    yield paint(map, width, height, colorOf);
  }
}
