/** Labels as pictures: label images as datasets keep them, and translucent layers to lay over a frame. */
import type { Shape } from "../tensor.js";
import { defaultStrength, outlineOpacity } from "./looks.js";
import { type Color, colorOfClass } from "./palette.js";
import type { ImageTensor } from "./resize.js";

/** Labels of the pixels of a picture, `[H,W]`; 0 is the background. */
export interface Labels {
  readonly shape: Shape;
  readonly data: Uint8Array | Uint16Array;
}

/**
 * Labels as the picture that datasets keep of them: class indices in the classes' colors, `u8[H,W,3]`, or, if
 * `semantic` is false, white for every label but 0, `u8[H,W]`.
 */
export function labelPicture({ shape, data }: Labels, semantic: boolean): ImageTensor {
  return semantic
    ? { dtype: "u8", shape: [...shape, 3], data: inColors(data) }
    : { dtype: "u8", shape, data: inWhite(data) };
}

function inWhite(data: Labels["data"]): Uint8Array<ArrayBuffer> {
  const white = new Uint8Array(data.length);
  for (let i = 0; i < white.length; i++) white[i] = data[i] === 0 ? 0 : 255;
  return white;
}

function inColors(data: Labels["data"]): Uint8Array<ArrayBuffer> {
  const rgb = new Uint8Array(data.length * 3);
  let current = 0;
  let color = colorOfClass(current);
  for (let i = 0, j = 0; i < data.length; i++, j += 3) {
    const label = data[i]!;
    if (label === 0) continue;
    if (label !== current) {
      current = label;
      color = colorOfClass(label);
    }
    rgb[j] = color[0];
    rgb[j + 1] = color[1];
    rgb[j + 2] = color[2];
  }
  return rgb;
}

/** How labels are painted. */
export interface PaintOptions {
  /** Color of a label. */
  readonly colorOf: (label: number) => Color;
  /** Opacity of the labels' pixels, 0 to 1. Default: 0.42. */
  readonly fill?: number | undefined;
  /** Opacity of the black over the background, 0 to 1. Default: 0. */
  readonly dim?: number | undefined;
  /** Width of the outline in pixels. Default: a 400th of the longer side, at least 1. */
  readonly outline?: number | undefined;
}

/** How far the outline goes from the fill's color towards white, so that dark classes are seen on dark frames. */
const outlineWhite = 0.45;

/**
 * Paints labels as a layer with straight alpha, `u8[H,W,4]`: a translucent fill in the label's color and a brighter
 * outline. The outline lies inside the label and leaves out the frame's border.
 */
export function paintLabels({ shape, data }: Labels, options: PaintOptions): ImageTensor {
  const [height = 0, width = 0] = shape;
  const { colorOf, fill = defaultStrength, dim = 0 } = options;
  const reach = options.outline ?? Math.max(1, Math.round(Math.max(width, height) / 400));
  const background = packed([0, 0, 0], dim);
  const fills = new Map<number, number>();
  const outlines = new Map<number, number>();
  for (const label of new Set(data)) {
    fills.set(label, label === 0 ? background : packed(colorOf(label), fill));
    outlines.set(label, packed(brighter(colorOf(label)), outlineOpacity));
  }
  const pixels = new Uint8Array(width * height * 4);
  // One 32-bit write per pixel: bytes in memory are R, G, B, A, as every platform of JavaScript is little-endian.
  const rgba = new Uint32Array(pixels.buffer);
  for (let y = 0; y < height; y++) {
    const up = y >= reach ? reach * width : 0;
    const down = y < height - reach ? reach * width : 0;
    for (let x = 0, i = y * width; x < width; x++, i++) {
      const label = data[i]!;
      const inside =
        label === 0 ||
        (data[i - up] === label &&
          data[i + down] === label &&
          (x < reach || data[i - reach] === label) &&
          (x >= width - reach || data[i + reach] === label));
      rgba[i] = (inside ? fills : outlines).get(label)!;
    }
  }
  return { dtype: "u8", shape: [height, width, 4], data: pixels };
}

function brighter(color: Color): Color {
  const [red, green, blue] = color;
  const towardsWhite = (c: number) => Math.round(c + (255 - c) * outlineWhite);
  return [towardsWhite(red), towardsWhite(green), towardsWhite(blue)];
}

/** A color and its opacity as one little-endian RGBA pixel. */
function packed([red, green, blue]: Color, alpha: number): number {
  return red | (green << 8) | (blue << 16) | (Math.round(255 * alpha) << 24);
}
