/**
 * Image resizing equal to Pillow's, so that frames and masks reach the model as they did in the published
 * system. Bilinear is antialiased (the triangle widens when shrinking) and works in 8 bits: 22-bit fixed-point
 * weights, columns first, a rounded 8-bit image between the two passes. All images are `u8[H,W]` or `u8[H,W,C]`.
 */
import { f64At, i32At, u8At } from "../arrays.js";
import { describe, type TensorOf } from "../tensor.js";

/** An 8-bit image, `u8[H,W]` (one channel) or `u8[H,W,C]`. */
export type ImageTensor = TensorOf<"u8">;

/** Height, width and channels of an image. Throws `TypeError` for anything but `u8[H,W]` and `u8[H,W,C]`. */
export function imageSize(image: ImageTensor): { height: number; width: number; channels: number } {
  const [height, width, channels = 1] = image.shape;
  if (height === undefined || width === undefined || image.shape.length > 3) {
    throw new TypeError(`image: expected u8[H,W] or u8[H,W,C], got ${describe(image)}`);
  }
  return { height, width, channels };
}

/** For each output sample: the first input sample it reads, and `taps` weights (zero beyond its support). */
interface FilterBank {
  readonly taps: number;
  readonly first: Int32Array;
  readonly weights: Int32Array;
}

const PRECISION_BITS = 22;
const HALF = 1 << (PRECISION_BITS - 1);

/** Triangle filter from `inSize` to `outSize` samples, half-pixel centers, rounded to fixed point. */
function triangleBank(inSize: number, outSize: number): FilterBank {
  const scale = inSize / outSize;
  const support = Math.max(scale, 1);
  const taps = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outSize);
  const weights = new Int32Array(outSize * taps);
  const row = new Float64Array(taps);
  for (let o = 0; o < outSize; o++) {
    const center = (o + 0.5) * scale;
    const from = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(inSize, Math.trunc(center + support + 0.5)) - from;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const w = Math.max(0, 1 - Math.abs((i + from - center + 0.5) / support));
      row[i] = w;
      total += w;
    }
    first[o] = from;
    for (let i = 0; i < count; i++) {
      weights[o * taps + i] = Math.trunc(0.5 + (f64At(row, i) / total) * 2 ** PRECISION_BITS);
    }
  }
  return { taps, first, weights };
}

/**
 * One pass along the middle axis of `u8[outer,inSize,inner]`, to `u8[outer,outSize,inner]`.
 * Columns: outer = rows, inner = channels. Rows: outer = 1, inner = width * channels.
 */
function resampleAxis(
  data: Uint8Array,
  { outer, inSize, outSize, inner }: { outer: number; inSize: number; outSize: number; inner: number },
): Uint8Array<ArrayBuffer> {
  const { taps, first, weights } = triangleBank(inSize, outSize);
  const out = new Uint8Array(outer * outSize * inner);
  const sums = new Int32Array(inner);
  // Weights are positive and sum to one, give or take rounding: only the top can overflow.
  for (let n = 0; n < outer; n++) {
    for (let o = 0; o < outSize; o++) {
      const from = (n * inSize + i32At(first, o)) * inner;
      const to = (n * outSize + o) * inner;
      const weight = o * taps;
      const count = Math.min(taps, inSize - i32At(first, o));
      if (inner <= 4) {
        // Columns: the few channels of a pixel, one after the other.
        for (let c = 0; c < inner; c++) {
          let sum = HALF;
          for (let i = 0, at = from + c; i < count; i++, at += inner) sum += data[at]! * weights[weight + i]!;
          out[to + c] = Math.min(255, sum >> PRECISION_BITS);
        }
        continue;
      }
      sums.fill(HALF);
      for (let i = 0, at = from; i < count; i++, at += inner) {
        const w = i32At(weights, weight + i);
        if (w === 0) continue;
        for (let c = 0; c < inner; c++) sums[c]! += data[at + c]! * w;
      }
      for (let c = 0; c < inner; c++) out[to + c] = Math.min(255, i32At(sums, c) >> PRECISION_BITS);
    }
  }
  return out;
}

function checkTarget(name: string, height: number, width: number): void {
  if (!Number.isInteger(height) || !Number.isInteger(width) || height < 1 || width < 1) {
    throw new RangeError(`${name}: the target must be at least 1x1 whole pixels, got ${width}x${height}`);
  }
}

function reshaped(
  image: ImageTensor,
  size: readonly [height: number, width: number],
  data: Uint8Array<ArrayBuffer>,
): ImageTensor {
  return { dtype: "u8", shape: [...size, ...image.shape.slice(2)], data };
}

/** Antialiased bilinear resize, as Pillow's `resize((width, height), BILINEAR)`. Same rank as `image`. */
export function resizeBilinear(image: ImageTensor, height: number, width: number): ImageTensor {
  checkTarget("resizeBilinear", height, width);
  const size = imageSize(image);
  let data = image.data;
  // Pillow skips a pass that would not change the size.
  if (width !== size.width) {
    data = resampleAxis(data, {
      outer: size.height,
      inSize: size.width,
      outSize: width,
      inner: size.channels,
    });
  }
  if (height !== size.height) {
    data = resampleAxis(data, {
      outer: 1,
      inSize: size.height,
      outSize: height,
      inner: width * size.channels,
    });
  }
  return reshaped(image, [height, width], data === image.data ? data.slice() : data);
}

/** The input sample nearest to each output sample's center. */
function nearestIndex(inSize: number, outSize: number): Int32Array {
  const step = inSize / outSize;
  const index = new Int32Array(outSize);
  // Added up rather than multiplied, because Pillow does: the rounding decides ties.
  let at = step * 0.5;
  for (let o = 0; o < outSize; o++) {
    index[o] = Math.min(inSize - 1, Math.trunc(at));
    at += step;
  }
  return index;
}

/** Nearest-neighbor resize, as Pillow's `resize((width, height), NEAREST)`: for masks and labels. */
export function resizeNearest(image: ImageTensor, height: number, width: number): ImageTensor {
  checkTarget("resizeNearest", height, width);
  const size = imageSize(image);
  const { channels } = size;
  const rows = nearestIndex(size.height, height);
  const columns = nearestIndex(size.width, width);
  const out = new Uint8Array(height * width * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const row = i32At(rows, y) * size.width;
    for (let x = 0; x < width; x++) {
      const from = (row + i32At(columns, x)) * channels;
      for (let c = 0; c < channels; c++) out[to++] = image.data[from + c]!;
    }
  }
  return reshaped(image, [height, width], out);
}

/** A part of an image in pixels. */
export interface CropArea {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** Cuts out a part of an image. Throws `RangeError` when it is outside. */
export function crop(image: ImageTensor, { top, left, height, width }: CropArea): ImageTensor {
  const size = imageSize(image);
  if (top < 0 || left < 0 || top + height > size.height || left + width > size.width) {
    throw new RangeError(
      `crop: ${width}x${height} at (${left}, ${top}) is outside an image of ${size.width}x${size.height}`,
    );
  }
  const { channels } = size;
  const out = new Uint8Array(height * width * channels);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * size.width + left) * channels;
    out.set(image.data.subarray(from, from + width * channels), y * width * channels);
  }
  return reshaped(image, [height, width], out);
}

/** Turns an image clockwise by 0, 90, 180 or 270 degrees. */
export function rotate(image: ImageTensor, degrees: number): ImageTensor {
  const { height, width, channels } = imageSize(image);
  const quarters = degrees / 90;
  if (!Number.isInteger(quarters))
    throw new RangeError(`rotate: ${degrees} degrees, expected a multiple of 90`);
  if (quarters % 4 === 0) return image;
  const [outHeight, outWidth] = quarters % 2 === 0 ? [height, width] : [width, height];
  // Where the output's first pixel comes from, and how far apart its rows and columns are in the input.
  const last = height * width - 1;
  const [first, down, right] = (
    [
      [0, width, 1],
      [last - width + 1, 1, -width],
      [last, -width, -1],
      [width - 1, -1, width],
    ] as const
  )[((quarters % 4) + 4) % 4]!;
  const out = new Uint8Array(image.data.length);
  let to = 0;
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const from = (first + y * down + x * right) * channels;
      for (let c = 0; c < channels; c++) out[to++] = u8At(image.data, from + c);
    }
  }
  return reshaped(image, [outHeight, outWidth], out);
}

/** Rounds halves to even, as Python does. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Short side to `side`, then the central `side` x `side` square: AVSS training.
 * `filter` is `"bilinear"` for images, `"nearest"` for labels.
 */
export function shortSideCenterCrop(
  image: ImageTensor,
  side: number,
  filter: "bilinear" | "nearest",
): ImageTensor {
  checkTarget("shortSideCenterCrop", side, side);
  const size = imageSize(image);
  const landscape = size.width > size.height;
  const width = landscape ? Math.trunc((size.width * side) / size.height) : side;
  const height = landscape ? side : Math.trunc((size.height * side) / size.width);
  const resized = (filter === "bilinear" ? resizeBilinear : resizeNearest)(image, height, width);
  const [top, left] = [roundHalfEven((height - side) / 2), roundHalfEven((width - side) / 2)];
  return crop(resized, { top, left, height: side, width: side });
}
