/** A frame with its mask as the chosen look shows it: the same code draws the player and exported videos. */
import { looks as commonLooks, lookEffects, lookLabels } from "avseg/studio";
import { type Mask, maskToImageData } from "avseg/web";

/** What is done to a frame: the looks of `avseg segment`, and further ones. */
export const looks = [
  ...commonLooks.map((id) => ({ id, label: lookLabels[id] })),
  { id: "pixelate", label: "Pixelated object" },
  { id: "color", label: "Cut-out on color" },
  { id: "cutout", label: "Cut-out, transparent" },
  { id: "none", label: "Original" },
] as const;

/** The name of a look. */
export type LookId = (typeof looks)[number]["id"];

/** A look with its settings. */
export interface Look {
  readonly id: LookId;
  /** How strong the effect is, 0 to 1. */
  readonly opacity: number;
  /** Background of the cut-out on color, as CSS. */
  readonly background: string;
}

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** A canvas to draw parts on, of the size of the target. */
class Layer {
  readonly #canvas = new OffscreenCanvas(1, 1);

  /** The layer's context, cleared. */
  clear(width: number, height: number): OffscreenCanvasRenderingContext2D {
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    const context = this.#canvas.getContext("2d");
    if (!context) throw new Error("the browser gives no canvas");
    context.reset();
    return context;
  }

  get image(): OffscreenCanvas {
    return this.#canvas;
  }
}

/** Draws frames in one look after another; keeps its layers between frames. */
export class Composer {
  readonly #mask = new Layer();
  readonly #part = new Layer();
  readonly #small = new Layer();

  /** Draws `frame` over the whole of `target`, with `mask` in the given look. */
  draw(
    target: Context,
    frame: CanvasImageSource,
    { mask, look }: { mask: Mask | undefined; look: Look },
  ): void {
    const { width, height } = target.canvas;
    target.reset();
    const isCutout = look.id === "cutout" || look.id === "color";
    if (look.id === "color") {
      target.fillStyle = look.background;
      target.fillRect(0, 0, width, height);
    }
    if (!isCutout) target.drawImage(frame, 0, 0, width, height);
    if (look.id === "none" || !mask) return;
    const { fill: overlayFill, shade: darkness } = lookEffects(look.opacity);
    if (look.id === "overlay" || look.id === "outline") {
      const fill = look.id === "overlay" ? overlayFill : 0;
      this.#mask.clear(mask.width, mask.height).putImageData(maskToImageData(mask, { fill }), 0, 0);
      target.drawImage(this.#mask.image, 0, 0, width, height);
      return;
    }
    this.#drawMaskAlpha(mask);
    if (look.id === "spotlight") {
      const shade = this.#part.clear(width, height);
      shade.fillStyle = "#000";
      shade.fillRect(0, 0, width, height);
      shade.globalCompositeOperation = "destination-out";
      shade.drawImage(this.#mask.image, 0, 0, width, height);
      target.globalAlpha = darkness;
      target.drawImage(this.#part.image, 0, 0);
    } else if (look.id === "pixelate") {
      this.#pixelated(frame, { width, height, strength: look.opacity });
      this.#keepMasked(width, height);
      target.drawImage(this.#part.image, 0, 0);
    } else {
      if (!isCutout) this.#drawBackground(target, frame, look);
      this.#part.clear(width, height).drawImage(frame, 0, 0, width, height);
      this.#keepMasked(width, height);
      target.drawImage(this.#part.image, 0, 0);
    }
  }

  #drawBackground(target: Context, frame: CanvasImageSource, { id, opacity }: Look): void {
    const { width, height } = target.canvas;
    const { blur, brightness } = lookEffects(opacity);
    const radius = blur * Math.max(width, height);
    target.filter = id === "blur" ? `blur(${radius}px)` : `grayscale(1) brightness(${brightness})`;
    // A blur reaches over the border; drawn larger, it brings no transparent rim in.
    const over = id === "blur" ? radius : 0;
    target.drawImage(frame, -over, -over, width + 2 * over, height + 2 * over);
    target.filter = "none";
  }

  #drawMaskAlpha({ width, height, labels }: Mask): void {
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < labels.length; i++) if (labels[i] !== 0) pixels[i] = 0xffffffff;
    this.#mask.clear(width, height).putImageData(image, 0, 0);
  }

  /** Clears what lies outside the mask from the part's layer. */
  #keepMasked(width: number, height: number): void {
    const context = this.#part.image.getContext("2d");
    if (!context) return;
    context.globalCompositeOperation = "destination-in";
    context.drawImage(this.#mask.image, 0, 0, width, height);
  }

  #pixelated(
    frame: CanvasImageSource,
    { width, height, strength }: { width: number; height: number; strength: number },
  ): void {
    const blocks = Math.round(64 - 48 * strength);
    const shrink = Math.max(width, height) / blocks;
    const [w, h] = [Math.max(1, Math.round(width / shrink)), Math.max(1, Math.round(height / shrink))];
    this.#small.clear(w, h).drawImage(frame, 0, 0, w, h);
    const context = this.#part.clear(width, height);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#small.image, 0, 0, width, height);
  }
}
