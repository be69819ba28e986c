/** The mask of one step at the source's size, and what is reported of it. */
import { enlarge, type ProbabilityMap } from "./probability-map.js";

/** A rectangle in pixels: left, top, width, height. */
export type Box = readonly [left: number, top: number, width: number, height: number];

/** Where one class sounds in a frame. */
export interface Region {
  /** Index of the class; 1 for the binary tasks. */
  readonly index: number;
  /** Pixels of the mask. */
  readonly area: number;
  /** The smallest rectangle around the mask. */
  readonly box: Box;
  /** Mean probability over the mask, 0.5 to 1 for the binary tasks. */
  readonly confidence: number;
}

/** Class per pixel (0 is background) and the classes found, the largest first. */
export interface Mask {
  readonly width: number;
  readonly height: number;
  /** `u16[height,width]`. */
  readonly labels: Uint16Array;
  readonly regions: readonly Region[];
}

/** Names of the labels of a mask by index, for a model's classes: the binary tasks have one, and no background. */
export function labelNames(classes: readonly string[]): readonly string[] {
  return classes.length > 1 ? classes : ["background", "sounding"];
}

/** What label `index` of a mask is called. */
export function classNameOf(classes: readonly string[], index: number): string {
  return labelNames(classes)[index] ?? `class ${index}`;
}

/** Sums over the pixels of one class. */
interface Tally {
  area: number;
  sum: number;
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Enlarges a map to pixels and decides: a pixel belongs to its likeliest class. */
export function maskOf(map: ProbabilityMap, width: number, height: number): Mask {
  const labels = new Uint16Array(width * height);
  const tallies = new Map<number, Tally>();
  for (const index of map.winners) {
    tallies.set(index, { area: 0, sum: 0, left: width, top: height, right: -1, bottom: -1 });
  }
  if (map.winners.length > 0) {
    enlarge(map, width, height, (y, index, foreground, background) => {
      let tally: Tally | undefined;
      let current = 0;
      for (let x = 0; x < width; x++) {
        const p = foreground[x]!;
        if (p <= background[x]!) continue;
        const label = index[x]!;
        labels[y * width + x] = label;
        if (label !== current || !tally) {
          current = label;
          tally = tallies.get(label)!;
        }
        tally.area++;
        tally.sum += p;
        tally.left = Math.min(tally.left, x);
        tally.right = Math.max(tally.right, x);
        tally.top = Math.min(tally.top, y);
        tally.bottom = y;
      }
    });
  }
  const regions = [...tallies]
    .filter(([, t]) => t.area > 0)
    .map(([index, t]): Region => {
      const box: Box = [t.left, t.top, t.right - t.left + 1, t.bottom - t.top + 1];
      return { index, area: t.area, box, confidence: t.sum / t.area };
    });
  return { width, height, labels, regions: regions.sort((a, b) => b.area - a.area) };
}

/** All regions as one: summed area, common box, mean confidence by area; `undefined` where nothing sounds. */
export function unionOf(regions: readonly Region[]): Omit<Region, "index"> | undefined {
  if (regions.length === 0) return undefined;
  const area = regions.reduce((sum, r) => sum + r.area, 0);
  const left = Math.min(...regions.map((r) => r.box[0]));
  const top = Math.min(...regions.map((r) => r.box[1]));
  const right = Math.max(...regions.map((r) => r.box[0] + r.box[2]));
  const bottom = Math.max(...regions.map((r) => r.box[1] + r.box[3]));
  const confidence = regions.reduce((sum, r) => sum + r.confidence * r.area, 0) / area;
  return { area, box: [left, top, right - left, bottom - top], confidence };
}
