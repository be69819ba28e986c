/** Pixels of a SoundShapes scene at one time. */
import { at, f32At } from "../../arrays.js";
import { Random } from "../../random.js";
import { addNoise } from "../generated/noise.js";
import { outlineReach, signedDistance } from "./kinds.js";
import { backgroundExtent, paintBackground, patternAt } from "./paint.js";
import { positionAt, type Scene, type SceneObject } from "./scene.js";

/** Output of one frame; the arrays may be views into those of a clip. */
export interface Canvas {
  /** `u8[H,W,3]` */
  readonly image: Uint8Array;
  /** `u8[H,W]`: 0 for the background, `i + 1` where object `i` is in front. */
  readonly objects: Uint8Array;
}

/** Renders frames of one scene at one size; the background is painted once. */
export class SceneRenderer {
  readonly #scene: Scene;
  readonly #size: number;
  readonly #canvasSize: number;
  readonly #background: Float32Array;

  constructor(scene: Scene, imageSize: number) {
    this.#scene = scene;
    this.#size = imageSize;
    this.#canvasSize = Math.ceil(imageSize * backgroundExtent) + 1;
    this.#background = paintBackground(scene.background, this.#canvasSize, imageSize);
  }

  /** Renders the scene at `seconds`; `noiseKey` is the key of the frame's pixel noise. */
  render(seconds: number, noiseKey: number, canvas: Canvas): void {
    const pixels = this.#backgroundAt(seconds);
    canvas.objects.fill(0);
    this.#scene.objects.forEach((object, i) => {
      const center = positionAt(object.path, seconds, this.#scene.durationSeconds);
      const angle = object.angle + object.radiansPerSecond * seconds;
      paintObject(
        object,
        { center, angle, size: this.#size, id: i + 1 },
        { pixels, objects: canvas.objects },
      );
    });
    const random = new Random(noiseKey, Math.round(seconds * 1e6));
    addNoise(pixels, canvas.image, { noise: this.#scene.noise, random, rowLength: 3 * this.#size });
  }

  /** The part of the background that the camera shows, with bilinear interpolation between pixels. */
  #backgroundAt(seconds: number): Float32Array {
    const { x0, y0, x1, y1 } = this.#scene.camera;
    const along = seconds / this.#scene.durationSeconds;
    const size = this.#size;
    const room = size * (backgroundExtent - 1);
    const left = room * (x0 + along * (x1 - x0));
    const top = room * (y0 + along * (y1 - y0));
    const fx = left - Math.floor(left);
    const fy = top - Math.floor(top);
    const source = this.#background;
    const stride = 3 * this.#canvasSize;
    const out = new Float32Array(size * size * 3);
    for (let y = 0; y < size; y++) {
      let from = (Math.floor(top) + y) * stride + 3 * Math.floor(left);
      const end = 3 * (y + 1) * size;
      for (let to = 3 * y * size; to < end; to++, from++) {
        const upper = f32At(source, from) * (1 - fx) + f32At(source, from + 3) * fx;
        const lower = f32At(source, from + stride) * (1 - fx) + f32At(source, from + stride + 3) * fx;
        out[to] = upper + fy * (lower - upper);
      }
    }
    return out;
  }
}

/** Where an object is at one time, in a frame of `size` pixels; its pixels are marked with `id`. */
interface Placement {
  readonly center: readonly [x: number, y: number];
  readonly angle: number;
  readonly size: number;
  readonly id: number;
}

function paintObject(
  object: SceneObject,
  { center: [cx, cy], angle, size, id }: Placement,
  { pixels, objects }: { readonly pixels: Float32Array; readonly objects: Uint8Array },
): void {
  const { kind, paint } = object;
  const radius = object.radius * size;
  const cos = Math.cos(angle) / radius;
  const sin = Math.sin(angle) / radius;
  const squeeze = Math.sqrt(object.aspect);
  const reach = outlineReach * Math.max(squeeze, 1 / squeeze) * radius + 1;
  const left = Math.max(0, Math.floor(cx * size - reach));
  const right = Math.min(size, Math.ceil(cx * size + reach));
  const top = Math.max(0, Math.floor(cy * size - reach));
  const bottom = Math.min(size, Math.ceil(cy * size + reach));
  for (let y = top; y < bottom; y++) {
    const py = y + 0.5 - cy * size;
    for (let x = left; x < right; x++) {
      const px = x + 0.5 - cx * size;
      const u = (cos * px + sin * py) / squeeze;
      const v = (cos * py - sin * px) * squeeze;
      const distance = signedDistance(kind, u, v);
      const alpha = Math.min(1, 0.5 - distance * radius);
      if (alpha <= 0) continue;
      const i = y * size + x;
      if (alpha >= 0.5) objects[i] = id;
      const fraction = patternAt(paint, u, v);
      const light = distance > -0.14 ? paint.rim : 1;
      for (let channel = 0; channel < 3; channel++) {
        const first = at(paint.first, channel);
        const color = light * (first + fraction * (at(paint.second, channel) - first));
        const under = f32At(pixels, 3 * i + channel);
        pixels[3 * i + channel] = under + alpha * (color - under);
      }
    }
  }
}
