/**
 * The colours of AVSS label images: the i-th octal digit of a class index gives bit 7-i of red, green
 * and blue from that digit's bits 0, 1 and 2. The map is one-to-one, so it is inverted without a table.
 */

import type { Shape } from "../tensor.js";
import type { Image } from "./resize.js";

/** Colour of class `index` (0 to 2^24 - 1) as `[red, green, blue]`, each 0 to 255. */
export function colorOfClass(index: number): [red: number, green: number, blue: number] {
  let red = 0;
  let green = 0;
  let blue = 0;
  for (let i = 0, rest = index; rest > 0; i++, rest >>= 3) {
    red |= (rest & 1) << (7 - i);
    green |= ((rest >> 1) & 1) << (7 - i);
    blue |= ((rest >> 2) & 1) << (7 - i);
  }
  return [red, green, blue];
}

/** Class index of a colour: the inverse of `colorOfClass`. Any colour has one; check it against the classes. */
export function classOfColor(red: number, green: number, blue: number): number {
  let index = 0;
  for (let i = 0; i < 8; i++) {
    const bit = 7 - i;
    const digit = ((red >> bit) & 1) | (((green >> bit) & 1) << 1) | (((blue >> bit) & 1) << 2);
    index |= digit << (3 * i);
  }
  return index;
}

/** Labels of the pixels of a picture, `[H,W]`. */
export interface Labels {
  readonly shape: Shape;
  readonly data: Uint8Array | Uint16Array;
}

/**
 * Labels as the picture that datasets keep of them: class indices in the classes' colours, `u8[H,W,3]`, or, not
 * semantic, white for everything that is not 0, `u8[H,W]`.
 */
export function labelPicture({ shape, data }: Labels, semantic: boolean): Image {
  if (!semantic)
    return { dtype: "u8", shape, data: Uint8Array.from(data, (label) => (label === 0 ? 0 : 255)) };
  const rgb = new Uint8Array(data.length * 3);
  for (const [i, index] of data.entries()) if (index !== 0) rgb.set(colorOfClass(index), 3 * i);
  return { dtype: "u8", shape: [...shape, 3], data: rgb };
}
