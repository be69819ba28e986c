/**
 * The colours of AVSS label images: the i-th octal digit of a class index gives bit 7-i of red, green
 * and blue from that digit's bits 0, 1 and 2. The map is one-to-one, so it is inverted without a table.
 */

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

/** Colours of classes `0..count-1`, `u8[count,3]` row-major. */
export function classPalette(count: number): Uint8Array<ArrayBuffer> {
  const palette = new Uint8Array(count * 3);
  for (let index = 0; index < count; index++) palette.set(colorOfClass(index), index * 3);
  return palette;
}
