/** The layer that an overlay video shows over one picture. */
import type { FrameSize } from "../media/video.js";
import { overlayColor } from "./mask.js";
import { type Marks, type ProbabilityMap, upsample } from "./probability-map.js";

/** Alpha by the number of marked pixels among the nine around one. */
const alphas = Uint8Array.from({ length: 10 }, (_, count) => Math.round((count * 255) / 9));

/** Red, green and blue as the low 24 bits of a little-endian RGBA pixel. */
const packed = ([red, green, blue]: readonly [number, number, number]) => red | (green << 8) | (blue << 16);

/** Size of the layers, and the names that give their colors. */
export type LayerForm = FrameSize & { readonly labelNames: readonly string[] };

/** Paints layers; keeps its working memory from call to call. */
export class LayerPainter {
  readonly #form: LayerForm;
  readonly #pixels: Uint8Array<ArrayBuffer>;
  readonly #rgba: Uint32Array<ArrayBuffer>;
  /** How many of the three pixels around each one in its row are marked. */
  readonly #counts: Uint8Array;

  constructor(form: LayerForm) {
    this.#form = form;
    this.#pixels = new Uint8Array(form.width * form.height * 4);
    this.#rgba = new Uint32Array(this.#pixels.buffer);
    this.#counts = new Uint8Array(form.width * form.height);
  }

  /**
   * Straight-alpha RGBA, `u8[height,width,4]`: every pixel has the color of its likeliest class, the unmarked ones too, so
   * that scaling leaves no fringe. Alpha is 255 inside of what is marked, 0 outside, and passes 128 at its edge, over three
   * pixels. The next call overwrites the layer.
   */
  paint(map: ProbabilityMap, marks: Marks | undefined): Uint8Array {
    const { width, height, labelNames } = this.#form;
    const rgba = this.#rgba;
    const [only = 0, ...others] = map.activeClasses;
    if (only === 0) {
      rgba.fill(0);
      return this.#pixels;
    }
    const colors = new Map(
      map.activeClasses.map((index) => [index, packed(overlayColor(index, labelNames))] as const),
    );
    const counts = this.#counts.fill(0);
    let [top, bottom] = [height, -1];
    const count = (x: number, y: number) => {
      const i = y * width + x;
      counts[i]!++;
      counts[x > 0 ? i - 1 : i]!++;
      counts[x < width - 1 ? i + 1 : i]!++;
      if (y < top) top = y;
      bottom = y;
    };
    if (others.length === 0 && marks?.width === width && marks.height === height) {
      for (let y = 0, i = 0; y < height; y++) {
        for (let x = 0; x < width; x++, i++) if (marks.levels[i]! > 127) count(x, y);
      }
      rgba.fill(colors.get(only)!);
    } else {
      for (const { y, labels, fraction } of upsample(map, { width, height }, { marks })) {
        for (let x = 0, i = y * width; x < width; x++, i++) {
          if (fraction[x]! > 0.5) count(x, y);
          rgba[i] = colors.get(labels[x]!)!;
        }
      }
    }
    // Elsewhere nothing is marked, and alpha stays 0.
    const end = Math.min(height, bottom + 2);
    for (let y = Math.max(0, top - 1); y < end; y++) {
      const up = y > 0 ? width : 0;
      const down = y < height - 1 ? width : 0;
      for (let x = 0, i = y * width; x < width; x++, i++) {
        rgba[i]! |= alphas[counts[i - up]! + counts[i]! + counts[i + down]!]! << 24;
      }
    }
    return this.#pixels;
  }
}
