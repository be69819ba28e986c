/** Masks on a canvas. */
import type { PaintOptions } from "../media/painting.js";
import { type Mask, paintMask } from "../segment/mask.js";

/**
 * A mask as a translucent layer to lay over its frame: a fill and an outline in the colors of the classes.
 *
 * ```ts
 * canvas.getContext("2d").putImageData(maskToImageData(mask), 0, 0);
 * ```
 */
export function maskToImageData(mask: Mask, options: Partial<PaintOptions> = {}): ImageData {
  const { data } = paintMask(mask, options);
  return new ImageData(new Uint8ClampedArray(data.buffer), mask.width, mask.height);
}
