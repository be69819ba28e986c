/** Cut-outs and backgrounds: decoded, masked, trimmed and kept at a size that scenes need. */
import { readFile } from "node:fs/promises";
import sharp, { type Sharp } from "sharp";
import * as z from "zod";
import { readRgba } from "../../media/node/image-file.js";
import { type ImageTensor, imageSize } from "../../media/resize.js";
import { packagePath } from "../../node/paths.js";
import { type Origin, sourceId } from "./catalog.js";
import type { PackageFiles } from "./sources/packages.js";

/** Outlines are polygons in units of 1/4096 of the picture's width and height. */
const OUTLINE_UNITS = 4096;
/** Pictures are kept at most this large: a frame shows them smaller. */
const maxCutOutSide = 640;
const maxBackgroundSide = 1280;

/** The outlines, by file, of photographs without an alpha channel: rings of x0, y0, x1, y1, ..., holes included. */
export type Outlines = Readonly<Record<string, readonly (readonly number[])[]>>;

/** Reads the shipped outlines. They were drafted with a salient-object network and checked by eye. */
export async function readOutlines(
  file = packagePath("assets", "photo-sounds", "outlines.json"),
): Promise<Outlines> {
  const parsed: unknown = JSON.parse(await readFile(file, "utf8"));
  return z.record(z.string(), z.array(z.array(z.number()))).parse(parsed);
}

/** Reads pictures of the packages and keeps them in memory. */
export class PictureStore {
  readonly #files: PackageFiles;
  readonly #outlines: Outlines;
  readonly #kept = new Map<string, Promise<ImageTensor>>();

  constructor(files: PackageFiles, outlines: Outlines) {
    this.#files = files;
    this.#outlines = outlines;
  }

  /** An object without its surroundings, `u8[H,W,4]`, straight alpha. Throws `MediaError`. */
  cutOut(origin: Origin): Promise<ImageTensor> {
    return this.#keep(`cut-out ${sourceId(origin)}`, async () => {
      const image = await this.#read(origin);
      const rings = this.#outlines[origin.file];
      return trimmed(rings === undefined ? image : await outlined(image, rings));
    });
  }

  /** Whether a picture is a photograph with surroundings, whose object has an outline. */
  hasOutline({ file }: Origin): boolean {
    return this.#outlines[file] !== undefined;
  }

  /** A photograph with an outline, squeezed to `side` x `side` pixels, opaque where the object is: `u8[H,W,4]`. Throws `MediaError`. */
  photograph(origin: Origin, side: number): Promise<ImageTensor> {
    return this.#keep(`photograph ${side} ${sourceId(origin)}`, async () => {
      const image = await this.#read(origin);
      const size = { width: side, height: side, fit: "fill" } as const;
      const squeezed = await rawImage(sharpOf(image).removeAlpha().ensureAlpha().resize(size));
      return outlined(squeezed, this.#outlines[origin.file] ?? []);
    });
  }

  /** A background, `u8[H,W,3]`. Throws `MediaError`. */
  background(origin: Origin): Promise<ImageTensor> {
    return this.#keep(`background ${sourceId(origin)}`, async () => {
      const image = await this.#read(origin);
      const side = maxBackgroundSide;
      return rawImage(
        sharpOf(image).removeAlpha().resize(side, side, { fit: "inside", withoutEnlargement: true }),
      );
    });
  }

  /** The pixels of a file, `u8[H,W,4]`. */
  async #read(origin: Origin): Promise<ImageTensor> {
    return readRgba(await this.#files.read(origin.package, origin.file));
  }

  #keep(key: string, make: () => Promise<ImageTensor>): Promise<ImageTensor> {
    const found = this.#kept.get(key) ?? make();
    this.#kept.set(key, found);
    return found;
  }
}

/** Pixels as the input of sharp. */
export function sharpOf(image: ImageTensor): Sharp {
  const { height, width, channels } = imageSize(image);
  if (channels !== 1 && channels !== 3 && channels !== 4)
    throw new TypeError(`image of ${channels} channels`);
  return sharp(image.data, { raw: { width, height, channels } });
}

/** The result of sharp as pixels. */
export async function rawImage(image: Sharp): Promise<ImageTensor> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  return { dtype: "u8", shape: [info.height, info.width, info.channels], data: Uint8Array.from(data) };
}

/** The picture with the alpha of an outline, half a pixel softened. */
async function outlined(image: ImageTensor, rings: readonly (readonly number[])[]): Promise<ImageTensor> {
  const { height, width } = imageSize(image);
  const path = rings
    .map((ring) => {
      const points = ring.map((value, i) =>
        ((value * (i % 2 === 0 ? width : height)) / OUTLINE_UNITS).toFixed(1),
      );
      return `M${points.join(" ")}Z`;
    })
    .join("");
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><path fill-rule="evenodd" d="${path}"/></svg>`;
  const alpha = await sharp(Buffer.from(svg)).extractChannel(3).blur(0.6).raw().toBuffer();
  const data = Uint8Array.from(image.data);
  alpha.forEach((value, i) => {
    data[4 * i + 3] = value;
  });
  return { dtype: "u8", shape: image.shape, data };
}

/** Cuts off the transparent margins and bounds the size. */
async function trimmed(image: ImageTensor): Promise<ImageTensor> {
  const { height, width } = imageSize(image);
  let [left, right, top, bottom] = [width, 0, height, 0];
  for (let y = 0, i = 3; y < height; y++) {
    for (let x = 0; x < width; x++, i += 4) {
      if ((image.data[i] ?? 0) < 32) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
    }
  }
  if (right <= left) throw new RangeError("photo-sounds: a cut-out without visible pixels");
  const part = sharpOf(image).extract({ left, top, width: right - left, height: bottom - top });
  return rawImage(part.resize(maxCutOutSide, maxCutOutSide, { fit: "inside", withoutEnlargement: true }));
}
