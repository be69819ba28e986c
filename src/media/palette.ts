/**
 * The colors of labels, everywhere: in AVSS label images, overlays and reports. The i-th octal digit of a class index
 * gives bit 7-i of red, green and blue from that digit's bits 0, 1 and 2 (the palette of PASCAL VOC). The map is
 * one-to-one, so it is inverted without a table.
 */

/** Red, green and blue, 0 to 255 each. */
export type Color = readonly [red: number, green: number, blue: number];

/** What sounds, in the tasks that do not name it. */
export const SOUNDING_COLOR: Color = [255, 72, 88];

/** Color of class `index` (0 to 2^24 - 1). */
export function colorOfClass(index: number): Color {
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

/** Class index of a color: the inverse of `colorOfClass`. Any color has one; check it against the classes. */
export function classOfColor(red: number, green: number, blue: number): number {
  let index = 0;
  for (let i = 0; i < 8; i++) {
    const bit = 7 - i;
    const digit = ((red >> bit) & 1) | (((green >> bit) & 1) << 1) | (((blue >> bit) & 1) << 2);
    index |= digit << (3 * i);
  }
  return index;
}
