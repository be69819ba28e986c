/** The mask of one frame at the source's size, what is reported of it, and its way to a picture. */
import { labelPicture, type PaintOptions, paintLabels } from "../media/painting.js";
import { type Color, colorOfClass, SOUNDING_COLOR } from "../media/palette.js";
import type { ImageTensor } from "../media/resize.js";
import { type Marks, type ProbabilityMap, upsample } from "./probability-map.js";

/** A rectangle in pixels: left, top, width, height. */
export type Box = readonly [left: number, top: number, width: number, height: number];

/** Where one class sounds in a frame. */
export interface Region {
  /** Label of its pixels in the mask; 1 for the binary tasks. */
  readonly index: number;
  /** Name of the class; `sounding` for the binary tasks. */
  readonly label: string;
  /** Pixels of the mask. */
  readonly area: number;
  /** The smallest rectangle around the mask. */
  readonly box: Box;
  /** Mean probability over the mask, 0.5 to 1 for the binary tasks. */
  readonly confidence: number;
}

/** A label per pixel (0 is the background) and the classes found, the largest first. */
export interface Mask {
  readonly width: number;
  readonly height: number;
  /** `u16[height,width]`. */
  readonly labels: Uint16Array;
  /** Names of the labels by index. */
  readonly labelNames: readonly string[];
  readonly regions: readonly Region[];
}

/** Names of labels by index for a model's classes: the binary tasks have one class, and no background among them. */
export function labelNames(classes: readonly string[]): readonly string[] {
  return classes.length > 1 ? classes : ["background", "sounding"];
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

/** Options of `maskOf`. */
export interface MaskOptions {
  /** Size of the mask in pixels. */
  readonly width: number;
  readonly height: number;
  /** The model's classes. */
  readonly classes: readonly string[];
  /** What is marked, where that was worked out apart from the map. Default: as the map's probabilities say. */
  readonly marks?: Marks | undefined;
}

/** Upsamples a map and decides: a pixel belongs to its likeliest class. */
export function maskOf(map: ProbabilityMap, { width, height, classes, marks }: MaskOptions): Mask {
  const names = labelNames(classes);
  const labels = new Uint16Array(width * height);
  const tallies = new Map<number, Tally>();
  for (const index of map.activeClasses) {
    tallies.set(index, { area: 0, sum: 0, left: width, top: height, right: -1, bottom: -1 });
  }
  if (map.activeClasses.length > 0) {
    const rows = upsample(map, { width, height }, { marks, markedOnly: true });
    for (const { y, labels: row, confidence, fraction } of rows) {
      let tally: Tally | undefined;
      let current = 0;
      for (let x = 0; x < width; x++) {
        if (fraction[x]! <= 0.5) continue;
        const label = row[x]!;
        labels[y * width + x] = label;
        if (label !== current || !tally) {
          current = label;
          tally = tallies.get(label)!;
        }
        tally.area++;
        tally.sum += confidence[x]!;
        tally.left = Math.min(tally.left, x);
        tally.right = Math.max(tally.right, x);
        tally.top = Math.min(tally.top, y);
        tally.bottom = y;
      }
    }
  }
  const regions = [...tallies]
    .filter(([, t]) => t.area > 0)
    .map(([index, t]): Region => {
      const box: Box = [t.left, t.top, t.right - t.left + 1, t.bottom - t.top + 1];
      const label = names[index] ?? `class ${index}`;
      return { index, label, area: t.area, box, confidence: t.sum / t.area };
    });
  return { width, height, labels, labelNames: names, regions: regions.sort((a, b) => b.area - a.area) };
}

/** All regions as one: summed area, common box, mean confidence by area; `undefined` where nothing sounds. */
export function unionOf(regions: readonly Region[]): Pick<Region, "area" | "box" | "confidence"> | undefined {
  if (regions.length === 0) return undefined;
  const area = regions.reduce((sum, r) => sum + r.area, 0);
  const left = Math.min(...regions.map((r) => r.box[0]));
  const top = Math.min(...regions.map((r) => r.box[1]));
  const right = Math.max(...regions.map((r) => r.box[0] + r.box[2]));
  const bottom = Math.max(...regions.map((r) => r.box[1] + r.box[3]));
  const confidence = regions.reduce((sum, r) => sum + r.confidence * r.area, 0) / area;
  return { area, box: [left, top, right - left, bottom - top], confidence };
}

/** Whether masks with these label names tell classes apart. Otherwise they mark what sounds. */
function isSemantic(names: readonly string[]): boolean {
  return names.length > 2;
}

/** Color of a label in overlays: that of the label images where there are several classes. */
export function overlayColor(index: number, names: readonly string[]): Color {
  return isSemantic(names) ? colorOfClass(index) : SOUNDING_COLOR;
}

/**
 * A mask as a layer to lay over its frame, `u8[height,width,4]` with straight alpha: a translucent fill and an outline
 * in the colors of the classes.
 *
 * ```ts
 * const { data, shape: [height, width] } = paintMask(mask);
 * context.putImageData(new ImageData(new Uint8ClampedArray(data.buffer), width, height), 0, 0);
 * ```
 */
export function paintMask(mask: Mask, options: Partial<PaintOptions> = {}): ImageTensor {
  const { width, height, labels: data, labelNames: names } = mask;
  const colorOf = (index: number) => overlayColor(index, names);
  return paintLabels({ shape: [height, width], data }, { colorOf, ...options });
}

/**
 * A mask as datasets keep it: white where something sounds, `u8[height,width]`, or, for several classes, the colors of
 * AVSS label images, `u8[height,width,3]`.
 */
export function maskPicture({ width, height, labels, labelNames: names }: Mask): ImageTensor {
  return labelPicture({ shape: [height, width], data: labels }, isSemantic(names));
}
