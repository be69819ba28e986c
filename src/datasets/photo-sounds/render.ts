/** Pixels of a PhotoSounds scene at any time: cut-outs and their shadows over a photograph. */
import { at, f32At, u8At } from "../../arrays.js";
import { type ImageTensor, imageSize } from "../../media/resize.js";
import { Random } from "../../random.js";
import { addNoise } from "../generated/noise.js";
import { rawImage, sharpOf } from "./pictures.js";
import { cameraAt, canvasExtent, type Pose, poseAt, type Scene, type SceneObject } from "./scene.js";

/** Output of one frame; the arrays may be views into those of a clip. */
export interface Canvas {
  /** `u8[H,W,3]` */
  readonly image: Uint8Array;
  /** `u8[H,W]`: 0 for the background, `i + 1` where object `i` is in front. */
  readonly objects: Uint8Array;
}

/** A relit cut-out at the size of the scene, with colors multiplied by alpha: `f32[H,W,4]`, colors 0 to 255, alpha 0 to 1. */
interface Sprite {
  readonly width: number;
  readonly height: number;
  readonly pixels: Float32Array;
  /** Blurred alpha for the shadow, as large as the sprite: `f32[H,W]`, 0 to 1. */
  readonly shadow: Float32Array;
}

/** The pixels that a scene is made of. */
export interface ScenePictures {
  /** `u8[H,W,3]` */
  readonly background: ImageTensor;
  /** Cut-outs in the order of the scene's objects, `u8[H,W,4]`. */
  readonly cutOuts: readonly ImageTensor[];
}

/** Renders frames of one scene at one size. */
export class PhotoSceneRenderer {
  readonly #scene: Scene;
  readonly #size: number;
  readonly #canvasSize: number;
  readonly #background: Uint8Array;
  readonly #sprites: readonly Sprite[];

  private constructor(
    scene: Scene,
    size: number,
    pixels: {
      readonly background: Uint8Array;
      readonly canvasSize: number;
      readonly sprites: readonly Sprite[];
    },
  ) {
    this.#scene = scene;
    this.#size = size;
    this.#canvasSize = pixels.canvasSize;
    this.#background = pixels.background;
    this.#sprites = pixels.sprites;
  }

  /** Prepares the pictures of a scene for frames of `size` pixels. */
  static async create(scene: Scene, size: number, pictures: ScenePictures): Promise<PhotoSceneRenderer> {
    const canvasSize = Math.ceil(size * canvasExtent) + 2;
    const background = await cropBackground(scene, pictures.background, canvasSize);
    const mean = meanColor(background);
    const sprites = await Promise.all(
      scene.objects.map((object, i) =>
        makeSprite(object, pictures.cutOuts[i] as ImageTensor, { size, mean }),
      ),
    );
    return new PhotoSceneRenderer(scene, size, { background, canvasSize, sprites });
  }

  /** Renders the scene at `seconds`; `noiseKey` is the key of the pixel noise. */
  render(seconds: number, noiseKey: number, canvas: Canvas): void {
    const { durationSeconds, objects, order, noise, camera } = this.#scene;
    const offset = cameraAt(camera, seconds, durationSeconds);
    const pixels = this.#backgroundAt(offset);
    canvas.objects.fill(0);
    for (const i of order) {
      const object = objects[i] as SceneObject;
      const still = poseAt(object, seconds, durationSeconds);
      const pose = { ...still, x: still.x - offset[0], y: still.y - offset[1] };
      const sprite = this.#sprites[i] as Sprite;
      const target = { pixels, objects: canvas.objects, size: this.#size };
      if (object.shadow > 0) paintShadow(sprite, object, pose, target);
      paintSprite(sprite, pose, { ...target, id: i + 1 });
    }
    this.#develop(pixels);
    const random = new Random(noiseKey, Math.round(seconds * 1e6));
    addNoise(pixels, canvas.image, { noise, random, rowLength: 3 * this.#size });
  }

  /** The part of the background that the camera shows, with bilinear interpolation between pixels. */
  #backgroundAt([x, y]: readonly [number, number]): Float32Array {
    const size = this.#size;
    const middle = (this.#canvasSize - 1 - size) / 2;
    const left = middle + x * size;
    const top = middle + y * size;
    const [fx, fy] = [left - Math.floor(left), top - Math.floor(top)];
    const source = this.#background;
    const stride = 3 * this.#canvasSize;
    const out = new Float32Array(size * size * 3);
    for (let row = 0; row < size; row++) {
      let from = (Math.floor(top) + row) * stride + 3 * Math.floor(left);
      const end = 3 * (row + 1) * size;
      for (let to = 3 * row * size; to < end; to++, from++) {
        const upper = u8At(source, from) * (1 - fx) + u8At(source, from + 3) * fx;
        const lower = u8At(source, from + stride) * (1 - fx) + u8At(source, from + stride + 3) * fx;
        out[to] = upper + fy * (lower - upper);
      }
    }
    return out;
  }

  /** Tone curve, white balance and blur of the whole frame. */
  #develop(pixels: Float32Array): void {
    const { gains, gamma, blur } = this.#scene;
    const curves = gains.map((gain) =>
      Float32Array.from(
        { length: 257 },
        (_, v) => 255 * Math.min(1, gain * (Math.min(255, v) / 255) ** gamma),
      ),
    );
    for (let i = 0; i < pixels.length; i++) {
      const curve = curves[i % 3] as Float32Array;
      const value = Math.max(0, Math.min(255, f32At(pixels, i)));
      const low = Math.floor(value);
      pixels[i] = f32At(curve, low) + (value - low) * (f32At(curve, low + 1) - f32At(curve, low));
    }
    if (blur > 0) blurInPlace(pixels, this.#size, (blur * this.#size) / 224);
  }
}

/** A square part of a background, `u8[S,S,3]`. */
async function cropBackground(scene: Scene, image: ImageTensor, side: number): Promise<Uint8Array> {
  const { height, width } = imageSize(image);
  const part = Math.max(8, Math.floor(scene.crop.size * Math.min(width, height)));
  const left = Math.floor(scene.crop.x * (width - part));
  const top = Math.floor(scene.crop.y * (height - part));
  const cut = sharpOf(image).extract({ left, top, width: part, height: part }).flop(scene.mirrored);
  return (await rawImage(cut.resize(side, side, { fit: "fill" }))).data;
}

function meanColor(pixels: Uint8Array): [number, number, number] {
  const sum = [0, 0, 0];
  for (let i = 0; i < pixels.length; i++) sum[i % 3] = at(sum, i % 3) + u8At(pixels, i);
  const scale = 3 / pixels.length;
  return [at(sum, 0) * scale, at(sum, 1) * scale, at(sum, 2) * scale];
}

/** Scales and relights a cut-out. */
async function makeSprite(
  object: SceneObject,
  cutOut: ImageTensor,
  { size, mean }: { readonly size: number; readonly mean: readonly [number, number, number] },
): Promise<Sprite> {
  const width = Math.max(2, Math.round(object.width * size));
  const height = Math.max(2, Math.round(object.height * size));
  // libvips multiplies by alpha around resizing, so that colors of transparent pixels do not leak in.
  const scaled = await rawImage(sharpOf(cutOut).flop(object.mirrored).resize(width, height, { fit: "fill" }));
  const lit = await rawImage(
    sharpOf(scaled).modulate({ brightness: object.light.brightness, saturation: object.light.saturation }),
  );
  const alpha = await rawImage(
    sharpOf(scaled)
      .extractChannel(3)
      .blur(Math.max(0.5, 0.05 * Math.min(width, height))),
  );
  const pixels = new Float32Array(width * height * 4);
  const { contrast, tint } = object.light;
  for (let i = 0; i < pixels.length; i += 4) {
    const opacity = u8At(lit.data, i + 3) / 255;
    for (let c = 0; c < 3; c++) {
      const value = 128 + contrast * (u8At(lit.data, i + c) - 128);
      const tinted = value + tint * (at(mean, c) - value);
      pixels[i + c] = opacity * Math.max(0, Math.min(255, tinted));
    }
    pixels[i + 3] = opacity;
  }
  return { width, height, pixels, shadow: Float32Array.from(alpha.data, (value) => value / 255) };
}

interface Target {
  /** `f32[H,W,3]` */
  readonly pixels: Float32Array;
  readonly objects: Uint8Array;
  readonly size: number;
}

/** Paints a cut-out and marks where it is in front. */
function paintSprite(
  sprite: Sprite,
  pose: Pose,
  { pixels, objects, size, id }: Target & { readonly id: number },
): void {
  const { width, height } = sprite;
  const cos = Math.cos(pose.angle) / pose.scale;
  const sin = Math.sin(pose.angle) / pose.scale;
  const [cx, cy] = [pose.x * size, pose.y * size];
  const reach = (Math.hypot(width, height) / 2) * pose.scale + 1;
  const right = Math.min(size, Math.ceil(cx + reach));
  const bottom = Math.min(size, Math.ceil(cy + reach));
  const sample = new Float32Array(4);
  for (let y = Math.max(0, Math.floor(cy - reach)); y < bottom; y++) {
    for (let x = Math.max(0, Math.floor(cx - reach)); x < right; x++) {
      const [px, py] = [x + 0.5 - cx, y + 0.5 - cy];
      const u = cos * px + sin * py + width / 2 - 0.5;
      const v = cos * py - sin * px + height / 2 - 0.5;
      if (!bilinear(sprite, u, v, sample)) continue;
      const alpha = f32At(sample, 3);
      const i = y * size + x;
      if (alpha >= 0.5) objects[i] = id;
      for (let c = 0; c < 3; c++) {
        pixels[3 * i + c] = f32At(sample, c) + (1 - alpha) * f32At(pixels, 3 * i + c);
      }
    }
  }
}

/** Reads a sprite between its pixels into `out`; false where it is fully transparent. */
function bilinear({ width, height, pixels }: Sprite, u: number, v: number, out: Float32Array): boolean {
  const [x, y] = [Math.floor(u), Math.floor(v)];
  if (x < -1 || y < -1 || x >= width || y >= height) return false;
  const [fx, fy] = [u - x, v - y];
  out.fill(0);
  for (let k = 0; k < 4; k++) {
    const [sx, sy] = [x + (k & 1), y + (k >> 1)];
    if (sx < 0 || sy < 0 || sx >= width || sy >= height) continue;
    const weight = (k & 1 ? fx : 1 - fx) * (k >> 1 ? fy : 1 - fy);
    const from = 4 * (sy * width + sx);
    for (let c = 0; c < 4; c++) out[c] = f32At(out, c) + weight * f32At(pixels, from + c);
  }
  return f32At(out, 3) > 0.002;
}

/** Height of a shadow over that of its object, and how far it leans over its own height. */
const shadowHeight = 0.3;
const shadowLean = 1.1;

/** Darkens the ground behind an object by its blurred outline, squashed and leaning to a side. */
function paintShadow(sprite: Sprite, object: SceneObject, pose: Pose, { pixels, size }: Target): void {
  const { width, height } = sprite;
  const scale = pose.scale;
  const foot = pose.y * size + (height / 2) * scale - 1;
  const middle = pose.x * size;
  const tall = shadowHeight * height * scale;
  const lean = object.shadowLean * shadowLean;
  const spill = 0.06 * height * scale;
  const top = Math.max(0, Math.floor(foot - tall));
  const bottom = Math.min(size, Math.ceil(foot + spill));
  const reach = (width / 2) * scale + Math.abs(lean) * tall + 2;
  for (let y = top; y < bottom; y++) {
    const up = foot - (y + 0.5);
    const v = Math.floor(height - 1 - (Math.max(0, up) / tall) * height);
    if (v < 0) continue;
    const fade = up < 0 ? 1 + up / spill : 1 - (0.6 * up) / tall;
    const from = Math.max(0, Math.floor(middle - reach));
    const to = Math.min(size, Math.ceil(middle + reach));
    for (let x = from; x < to; x++) {
      const u = Math.floor((x + 0.5 - middle - lean * up) / scale + width / 2);
      if (u < 0 || u >= width) continue;
      const dark = 1 - object.shadow * fade * f32At(sprite.shadow, v * width + u);
      for (let i = 3 * (y * size + x), c = 0; c < 3; c++) pixels[i + c] = f32At(pixels, i + c) * dark;
    }
  }
}

/** A separable binomial blur of a standard deviation below a pixel or two. */
function blurInPlace(pixels: Float32Array, size: number, sigma: number): void {
  const side = Math.exp(-0.5 / sigma ** 2);
  const [outer, inner] = [side / (1 + 2 * side), 1 / (1 + 2 * side)];
  for (const [step, line] of [
    [3, 3 * size],
    [3 * size, 3],
  ] as const) {
    for (let row = 0; row < size; row++) {
      for (let c = 0; c < 3; c++) {
        let before = f32At(pixels, row * line + c);
        for (let i = 0, p = row * line + c; i < size; i++, p += step) {
          const here = f32At(pixels, p);
          const after = i + 1 < size ? f32At(pixels, p + step) : here;
          pixels[p] = outer * (before + after) + inner * here;
          before = here;
        }
      }
    }
  }
}
