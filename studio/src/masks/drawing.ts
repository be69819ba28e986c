/** Drawing on masks. */
import type { Correction } from "../state/corrections";

/** A point in pixels of the mask. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A copy of `mask` with a line of round ends, marked or cleared. */
export function stroke(
  mask: Correction,
  { from, to, radius, mark }: { from: Point; to: Point; radius: number; mark: boolean },
): Correction {
  const { width, height } = mask;
  const marked = mask.marked.slice();
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
      if (distance <= radius) marked[y * width + x] = Number(mark);
    }
  }
  return { width, height, marked };
}

/** A copy of `mask` with the inside of a polygon marked. */
export function fillPolygon(mask: Correction, points: readonly Point[]): Correction {
  const { width, height } = mask;
  const marked = mask.marked.slice();
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
      if (end >= start) marked.fill(1, y * width + start, y * width + end + 1);
    }
  }
  return { width, height, marked };
}
