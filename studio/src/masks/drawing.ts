/** Drawing on masks. */
import type { LabelMap } from "./labels";

/** A point in pixels of the mask. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A copy of `map` with a line of round ends in one label; 0 clears. */
export function stroke(
  map: LabelMap,
  { from, to, radius, label }: { from: Point; to: Point; radius: number; label: number },
): LabelMap {
  const { width, height } = map;
  const labels = map.labels.slice();
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length2 = dx * dx + dy * dy;
  const clip = (value: number, max: number): number => Math.min(max, Math.max(0, Math.round(value)));
  const [left, right] = [Math.min(from.x, to.x) - radius, Math.max(from.x, to.x) + radius];
  const [top, bottom] = [Math.min(from.y, to.y) - radius, Math.max(from.y, to.y) + radius];
  for (let y = clip(top, height - 1); y <= clip(bottom, height - 1); y++) {
    for (let x = clip(left, width - 1); x <= clip(right, width - 1); x++) {
      const along = ((x - from.x) * dx + (y - from.y) * dy) / (length2 || 1);
      const t = Math.min(1, Math.max(0, along));
      const distance = Math.hypot(x - from.x - t * dx, y - from.y - t * dy);
      if (distance <= radius) labels[y * width + x] = label;
    }
  }
  return { width, height, labels };
}

/** A copy of `map` with the inside of a polygon in one label. */
export function fillPolygon(map: LabelMap, points: readonly Point[], label: number): LabelMap {
  const { width, height } = map;
  const labels = map.labels.slice();
  for (let y = 0; y < height; y++) {
    const crossings: number[] = [];
    for (const [i, a] of points.entries()) {
      const b = points[(i + 1) % points.length]!;
      if (a.y > y !== b.y > y) crossings.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
    }
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const start = Math.max(0, Math.ceil(crossings[i]!));
      const end = Math.min(width - 1, Math.floor(crossings[i + 1]!));
      if (end >= start) labels.fill(label, y * width + start, y * width + end + 1);
    }
  }
  return { width, height, labels };
}
