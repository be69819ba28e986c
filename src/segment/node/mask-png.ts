/** Masks as PNG files. */
import { encodePng } from "../../media/node/image-file.js";
import { type Mask, maskPicture } from "../mask.js";

/**
 * Encodes a mask as PNG: white where something sounds, or, for several classes, the colors of AVSS label images.
 *
 * ```ts
 * await writeFile("mask.png", await maskToPng(mask));
 * ```
 */
export function maskToPng(mask: Mask): Promise<Uint8Array> {
  return encodePng(maskPicture(mask));
}
