/** F-score of mask outlines, as the DAVIS benchmark (Perazzi et al., CVPR 2016) measures them. */

/** Distance that outlines may be apart, as a fraction of the image's diagonal. */
const tolerance = 0.008;

/**
 * F1 of two outlines: a pixel of one outline is right when a pixel of the other lies within 0.8% of the
 * image's diagonal. Two empty masks score 1; one empty mask scores 0.
 *
 * @param predicted `u8[H*W]`, zero or not.
 * @param truth `u8[H*W]`, zero or not.
 * @param width W, in pixels.
 */
export function contourFscore(predicted: Uint8Array, truth: Uint8Array, width: number): number {
  const height = truth.length / width;
  const ours = outline(predicted, width, height);
  const theirs = outline(truth, width, height);
  if (ours.length === 0 && theirs.length === 0) return 1;
  if (ours.length === 0 || theirs.length === 0) return 0;
  const radius = Math.ceil(tolerance * Math.hypot(width, height));
  const size = { width, height };
  const precision = fractionNear(ours, covered(theirs, radius, size));
  const recall = fractionNear(theirs, covered(ours, radius, size));
  return precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
}

/** Flat indices of the pixels that differ from their right, lower or lower right neighbor. */
function outline(mask: Uint8Array, width: number, height: number): number[] {
  const found: number[] = [];
  for (let y = 0; y < height; y++) {
    const below = y + 1 < height ? width : 0;
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const right = x + 1 < width ? 1 : 0;
      const here = mask[i] !== 0;
      if (
        here !== (mask[i + right] !== 0) ||
        here !== (mask[i + below] !== 0) ||
        here !== (mask[i + below + right] !== 0)
      ) {
        found.push(i);
      }
    }
  }
  return found;
}

/** `u8[H*W]`: 1 within `radius` pixels of one of the points. */
function covered(
  points: readonly number[],
  radius: number,
  { width, height }: { readonly width: number; readonly height: number },
): Uint8Array {
  const near = new Uint8Array(width * height);
  for (const point of points) {
    const px = point % width;
    const py = (point - px) / width;
    for (let y = Math.max(0, py - radius); y <= Math.min(height - 1, py + radius); y++) {
      const reach = Math.floor(Math.sqrt(radius * radius - (y - py) ** 2));
      near.fill(1, y * width + Math.max(0, px - reach), y * width + Math.min(width - 1, px + reach) + 1);
    }
  }
  return near;
}

/** The fraction of `points` where `near` is 1. */
function fractionNear(points: readonly number[], near: Uint8Array): number {
  return points.filter((point) => near[point] === 1).length / points.length;
}
