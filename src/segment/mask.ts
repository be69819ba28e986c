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
class Tally {
  area = 0;
  left = Number.POSITIVE_INFINITY;
  top = Number.POSITIVE_INFINITY;
  right = -1;
  bottom = -1;
  /** Of the confidences; an array, because V8 discards the code of loops that meet the first fraction in an integer's place. */
  readonly #sum = new Float64Array(1);

  /** Adds the pixels of row `y` from `start` up to, not including, `end`. */
  add(y: number, [start, end]: readonly [number, number], confidence: Float32Array): void {
    this.area += end - start;
    this.left = Math.min(this.left, start);
    this.right = Math.max(this.right, end - 1);
    this.top = Math.min(this.top, y);
    this.bottom = y;
    let sum = this.#sum[0]!;
    for (let x = start; x < end; x++) sum += confidence[x]!;
    this.#sum[0] = sum;
  }

  /** The region, for a class and its name. */
  region(index: number, label: string): Region {
    const { area, left, top, right, bottom } = this;
    const box: Box = [left, top, right - left + 1, bottom - top + 1];
    return { index, label, area, box, confidence: this.#sum[0]! / area };
  }
}

/** Where the run of marked pixels of one label ends that begins at `start`. */
function runEnd(labels: Uint16Array, fraction: Float32Array, start: number): number {
  const label = labels[start]!;
  let end = start + 1;
  while (end < labels.length && fraction[end]! > 0.5 && labels[end]! === label) end++;
  return end;
}

/** The first marked pixel at or after `start`; the row's length if no such pixel is left. */
function nextMarked(fraction: Float32Array, start: number): number {
  let x = start;
  while (x < fraction.length && fraction[x]! <= 0.5) x++;
  return x;
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
  const tallies = new Map(map.activeClasses.map((index) => [index, new Tally()] as const));
  if (map.activeClasses.length > 0) {
    const options = { marks, markedOnly: true, oneClass: classes.length === 1 };
    const rows = upsample(map, { width, height }, options);
    for (const { y, labels: row, confidence, fraction } of rows) {
      for (let x = nextMarked(fraction, 0); x < width; ) {
        const end = runEnd(row, fraction, x);
        const label = row[x]!;
        labels.fill(label, y * width + x, y * width + end);
        tallies.get(label)?.add(y, [x, end], confidence);
        x = nextMarked(fraction, end);
      }
    }
  }
  const regions = [...tallies]
    .filter(([, { area }]) => area > 0)
    .map(([index, tally]) => tally.region(index, names[index] ?? `class ${index}`));
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
