/** The layer that an overlay video shows over one picture. */
import type { Color } from "../media/palette.js";
import type { FrameSize } from "../media/video.js";
import { emptyYuva, type YuvaPicture, yuvOfColor } from "../media/yuv.js";
import { overlayColor } from "./mask.js";
import { type Marks, type ProbabilityMap, upsample } from "./probability-map.js";

/** Alpha by the number of marked pixels among the nine around one. */
const alphas = Uint8Array.from({ length: 10 }, (_, count) => Math.round((count * 255) / 9));

/** Size of the layers (even), and the names that give their colors. */
export type LayerForm = FrameSize & { readonly labelNames: readonly string[] };

/** What says which pixels of a row are marked. */
interface RowValues {
  readonly values: Uint8ClampedArray | Float32Array;
  readonly from: number;
  readonly limit: number;
}

/** Paints layers; keeps its working memory from call to call. */
export class LayerPainter {
  readonly #form: LayerForm;
  readonly #layer: YuvaPicture;
  /** How many of the three pixels around each one in its row are marked. */
  readonly #counts: Uint8Array;
  /** The likeliest class of each pixel, where several classes are marked. */
  readonly #labels: Uint16Array;
  /** The class whose color all pixels have; 0 if there are several. */
  #color = 0;

  constructor(form: LayerForm) {
    this.#form = form;
    const pixels = form.width * form.height;
    this.#layer = emptyYuva(form);
    this.#counts = new Uint8Array(pixels);
    this.#labels = new Uint16Array(pixels);
  }

  /**
   * Planes of Y, U, V and straight alpha (`yuva420p`): every pixel has the color of its likeliest class, the unmarked ones
   * too, so that scaling leaves no fringe. Alpha is 255 inside of what is marked, 0 outside, and passes 128 at its edge, over
   * three pixels. The next call overwrites the layer.
   */
  paint(map: ProbabilityMap, marks: Marks | undefined): Uint8Array {
    const { width, height } = this.#form;
    this.#counts.fill(0);
    this.#layer.alpha.fill(0);
    const [only = 0, ...others] = map.activeClasses;
    if (only === 0) return this.#layer.data;
    let [top, bottom] = [height, -1];
    const count = (y: number, row: RowValues) => {
      if (!this.#countRow(y, row)) return;
      top = Math.min(top, y);
      bottom = y;
    };
    if (others.length === 0 && marks?.width === width && marks.height === height) {
      for (let y = 0; y < height; y++) count(y, { values: marks.levels, from: y * width, limit: 127 });
    } else {
      for (const { y, labels, fraction } of upsample(map, this.#form, { marks })) {
        if (others.length > 0) this.#labels.set(labels, y * width);
        count(y, { values: fraction, from: 0, limit: 0.5 });
      }
    }
    if (others.length > 0) this.#paintClasses(map.activeClasses);
    else this.#fill(only);
    // Elsewhere nothing is marked, and alpha stays 0.
    const end = Math.min(height, bottom + 2);
    for (let y = Math.max(0, top - 1); y < end; y++) this.#writeAlpha(y);
    return this.#layer.data;
  }

  /** Counts the pixels of a row whose values are above `limit`, which begin at `from`; whether there are any. */
  #countRow(y: number, { values, from, limit }: RowValues): boolean {
    const counts = this.#counts;
    const { width } = this.#form;
    let isMarked = false;
    for (let x = 0, i = y * width; x < width; x++, i++) {
      if (values[from + x]! <= limit) continue;
      counts[i]!++;
      counts[x > 0 ? i - 1 : i]!++;
      counts[x < width - 1 ? i + 1 : i]!++;
      isMarked = true;
    }
    return isMarked;
  }

  #writeAlpha(y: number): void {
    const [counts, alpha] = [this.#counts, this.#layer.alpha];
    const { width, height } = this.#form;
    const up = y > 0 ? width : 0;
    const down = y < height - 1 ? width : 0;
    for (let x = 0, i = y * width; x < width; x++, i++) {
      alpha[i] = alphas[counts[i - up]! + counts[i]! + counts[i + down]!]!;
    }
  }

  #colorOf(index: number): Color {
    return yuvOfColor(overlayColor(index, this.#form.labelNames));
  }

  /** Gives all pixels the color of one class. */
  #fill(index: number): void {
    if (this.#color === index) return;
    this.#color = index;
    const [y, u, v] = this.#colorOf(index);
    this.#layer.luma.fill(y);
    this.#layer.u.fill(u);
    this.#layer.v.fill(v);
  }

  /** Gives every pixel the color of its class; four pixels have the chroma of the first. */
  #paintClasses(classes: readonly number[]): void {
    this.#color = 0;
    const { width, height } = this.#form;
    const labels = this.#labels;
    const { luma, u, v } = this.#layer;
    const colors = new Map(classes.map((index) => [index, this.#colorOf(index)] as const));
    for (let i = 0; i < labels.length; i++) luma[i] = colors.get(labels[i]!)![0];
    for (let y = 0, to = 0; y < height; y += 2) {
      for (let x = 0, i = y * width; x < width; x += 2, i += 2, to++) {
        const [, blue, red] = colors.get(labels[i]!)!;
        u[to] = blue;
        v[to] = red;
      }
    }
  }
}
