/** Labels of a picture, and their way to another size. */

/** A size in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What sounds at each pixel: `u16[height,width]`, 0 where nothing does. */
export interface LabelMap extends Size {
  readonly labels: Uint16Array<ArrayBuffer>;
}

/** A size with at most this longer side. */
export function within(side: number, width: number, height: number): Size {
  const shrink = Math.min(1, side / Math.max(width, height, 1));
  return { width: Math.max(1, Math.round(width * shrink)), height: Math.max(1, Math.round(height * shrink)) };
}

/** The same labels at another size: each pixel gets the label that is nearest to its center. */
export function scaleLabels(map: LabelMap, { width, height }: Size): LabelMap {
  const labels = new Uint16Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * map.height) / height) * map.width;
    for (let x = 0; x < width; x++) {
      labels[y * width + x] = map.labels[row + Math.floor(((x + 0.5) * map.width) / width)]!;
    }
  }
  return { width, height, labels };
}
