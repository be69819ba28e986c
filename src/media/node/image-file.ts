/** PNG and JPEG files, read and written with sharp (libvips). Decoded pixels agree with Pillow's. */

import sharp, { type Sharp } from "sharp";
import { u8At } from "../../arrays.js";
import { MediaError } from "../../errors.js";
import { type ImageTensor, imageSize } from "../resize.js";
import { type InputFile, inputName, MAX_IMAGE_PIXELS, readInput } from "./input-file.js";

const MAX_FILE_BYTES = 256 * 2 ** 20;

/** Only these are decoded: other formats that libvips knows can refer to further files. */
const SIGNATURES = [
  [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], // PNG
  [0xff, 0xd8, 0xff], // JPEG
];

/** Formats of `readRgba` by libvips' names. */
const RGBA_FORMATS: readonly string[] = ["png", "jpeg", "gif", "webp"];

const HINT = "Replace the file, or remove its row from the table that names it.";

/** Decodes a PNG or JPEG to RGB, `u8[H,W,3]`; transparency is dropped. Throws `MediaError` naming the file. */
export async function readRgb(file: InputFile): Promise<ImageTensor> {
  const bytes = await readInput(file, "image", MAX_FILE_BYTES);
  if (!SIGNATURES.some((signature) => signature.every((byte, i) => bytes[i] === byte))) {
    throw new MediaError(`${inputName(file)}: expected a PNG or JPEG image, found neither's signature`, {
      hint: HINT,
    });
  }
  return decoded(file, bytes, async (image) => {
    if (isDeepGray(bytes)) return readDeepGray(image);
    if (isJpeg(bytes) && (await image.metadata()).space === "cmyk")
      throw new Error("it is CMYK, expected RGB or gray");
    return pixelsOf(image.removeAlpha().toColorspace("srgb"), 3);
  });
}

/**
 * Decodes a PNG, JPEG, WebP or the first picture of a GIF to RGB with straight alpha, `u8[H,W,4]`. Throws `MediaError`
 * naming the file.
 */
export async function readRgba(file: InputFile): Promise<ImageTensor> {
  return decoded(file, await readInput(file, "image", MAX_FILE_BYTES), async (image) => {
    const { format } = await image.metadata();
    if (!RGBA_FORMATS.includes(format)) throw new Error(`it is ${format}, expected PNG, JPEG, GIF or WebP`);
    return pixelsOf(image.toColorspace("srgb").ensureAlpha(), 4);
  });
}

/** What `decode` makes of an image's bytes. Throws `MediaError` naming the file. */
async function decoded(
  file: InputFile,
  bytes: Buffer,
  decode: (image: Sharp) => Promise<ImageTensor>,
): Promise<ImageTensor> {
  try {
    // Profiles and orientation tags are ignored, as Pillow does by default.
    return await decode(
      sharp(bytes, { limitInputPixels: MAX_IMAGE_PIXELS, failOn: "error", ignoreIcc: true }),
    );
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0]?.trim();
    const what = /pixel limit/i.test(reason ?? "")
      ? `the image has more than ${MAX_IMAGE_PIXELS} pixels`
      : `the image cannot be decoded (${reason})`;
    throw new MediaError(`${inputName(file)}: ${what}`, { hint: HINT, cause: error });
  }
}

/** Pixels of an image of `channels` channels. Throws `Error` for another number. */
async function pixelsOf(image: Sharp, channels: number): Promise<ImageTensor> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  if (info.channels !== channels) {
    throw new Error(`decoded to ${info.channels} channels, expected ${channels}`);
  }
  // Copied off libvips' memory, so that its owner is an ordinary ArrayBuffer.
  return { dtype: "u8", shape: [info.height, info.width, channels], data: Uint8Array.from(data) };
}

/** Which of the two admitted formats it is: a PNG has no CMYK, so that its header is read once only. */
function isJpeg(bytes: Buffer): boolean {
  return bytes[0] === 0xff;
}

/** True for a PNG of 16-bit gray, by its header. */
function isDeepGray(bytes: Buffer): boolean {
  const [depth, colorType] = [bytes[24], bytes[25]];
  return !isJpeg(bytes) && depth === 16 && (colorType === 0 || colorType === 4);
}

/** 16-bit gray clipped to 255, as Pillow does: taking the high byte would make 255 of a mask black. */
async function readDeepGray(image: Sharp): Promise<ImageTensor> {
  const { data, info } = await image
    .removeAlpha()
    .toColorspace("grey16")
    .raw({ depth: "ushort" })
    .toBuffer({ resolveWithObject: true });
  const gray = new Uint16Array(Uint8Array.from(data).buffer);
  const rgb = Uint8Array.from({ length: 3 * gray.length }, (_, i) =>
    Math.min(255, gray[Math.floor(i / 3)] ?? 0),
  );
  return { dtype: "u8", shape: [info.height, info.width, 3], data: rgb };
}

/**
 * Decodes a PNG or JPEG to luma, `u8[H,W]`, by Pillow's formula (gray levels stay as they are); palettes are
 * expanded first. Throws `MediaError` naming the file.
 */
export async function readGray(file: InputFile): Promise<ImageTensor> {
  const { shape, data } = await readRgb(file);
  const luma = new Uint8Array(data.length / 3);
  for (let i = 0, at = 0; i < luma.length; i++, at += 3) {
    luma[i] = (u8At(data, at) * 19595 + u8At(data, at + 1) * 38470 + u8At(data, at + 2) * 7471 + 32768) >> 16;
  }
  return { dtype: "u8", shape: shape.slice(0, 2), data: luma };
}

/**
 * Encodes `u8[H,W,3]` as the name of its file says: JPEG for `.jpg`, nearly lossless as its blocks would show in
 * small frames, else PNG, fast.
 */
export async function encodeFrame(file: string, image: ImageTensor): Promise<Uint8Array> {
  if (!/\.jpe?g$/i.test(file)) return encodePng(image, { compressionLevel: 1 });
  const { height, width } = imageSize(image);
  const raw = { width, height, channels: 3 } as const;
  return sharp(image.data, { raw, limitInputPixels: MAX_IMAGE_PIXELS })
    .jpeg({ quality: 94, chromaSubsampling: "4:4:4" })
    .toBuffer();
}

/** How hard PNG compression tries, 0 (none) to 9. */
export interface PngOptions {
  readonly compressionLevel?: number | undefined;
}

/** Encodes `u8[H,W]` (gray), `u8[H,W,3]` (RGB) or `u8[H,W,4]` (RGBA, straight alpha) as PNG, losslessly. */
export async function encodePng(
  image: ImageTensor,
  { compressionLevel = 6 }: PngOptions = {},
): Promise<Uint8Array> {
  const { height, width, channels } = imageSize(image);
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw new TypeError(`encodePng: expected 1, 3 or 4 channels, got ${channels}`);
  }
  const encoder = sharp(image.data, { raw: { width, height, channels }, limitInputPixels: MAX_IMAGE_PIXELS });
  return channels === 1
    ? encoder.toColorspace("b-w").png({ compressionLevel }).toBuffer()
    : encoder.png({ compressionLevel }).toBuffer();
}
