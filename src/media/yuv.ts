/** Frames as video decoders give them, in planes of luma and chroma, to RGB pictures of the size a model takes. */
import { u8At } from "../arrays.js";
import type { Color } from "./palette.js";
import { type ImageTensor, imageSize, resizeBilinear } from "./resize.js";
import type { FrameSize } from "./video.js";

/** Luma weights of red and blue by the name of the matrix, as WebCodecs calls them. */
const lumaWeights = {
  bt709: [0.2126, 0.0722],
  bt470bg: [0.299, 0.114],
  smpte170m: [0.299, 0.114],
  "bt2020-ncl": [0.2627, 0.0593],
} as const;

/** How luma and chroma were made of red, green and blue. */
export type YuvMatrix = keyof typeof lumaWeights;

/** True for a matrix that `rgbOfYuv` knows. */
export function isYuvMatrix(name: string): name is YuvMatrix {
  return Object.hasOwn(lumaWeights, name);
}

/** A frame in 8 bits. */
export interface YuvFrame {
  /** `u8[H,W]`. */
  readonly luma: ImageTensor;
  /** Planes of U and V of any size, `u8[h,w]` each, or one with both in turns, `u8[h,w,2]`. */
  readonly chroma: readonly ImageTensor[];
  readonly matrix: YuvMatrix;
  /** Whether values span 0 to 255, instead of 16 to 235 (luma) and 16 to 240 (chroma). */
  readonly fullRange: boolean;
}

/**
 * Scales a frame to `u8[height,width,3]`, RGB. As in ffmpeg's scaler the planes are scaled first, each from its own
 * size, and mixed after that.
 */
export function rgbOfYuv(
  { luma, chroma, matrix, fullRange }: YuvFrame,
  height: number,
  width: number,
): ImageTensor {
  const [y, u, v] = [luma, ...chroma].flatMap((plane) => channelsOf(resizeBilinear(plane, height, width)));
  if (!y || !u || !v) throw new TypeError("rgbOfYuv: expected planes of Y, U and V");
  const [red, blue] = lumaWeights[matrix];
  const green = 1 - red - blue;
  const [black, lumaGain, chromaGain] = fullRange ? [0, 1, 1] : [16, 255 / 219, 255 / 224];
  const redOfV = 2 * (1 - red) * chromaGain;
  const blueOfU = 2 * (1 - blue) * chromaGain;
  const greenOfU = (blueOfU * blue) / green;
  const greenOfV = (redOfV * red) / green;
  const rgb = new Uint8ClampedArray(height * width * 3);
  for (let i = 0, to = 0; to < rgb.length; i++, to += 3) {
    const level = (u8At(y, i) - black) * lumaGain;
    const [du, dv] = [u8At(u, i) - 128, u8At(v, i) - 128];
    rgb[to] = level + redOfV * dv;
    rgb[to + 1] = level - greenOfU * du - greenOfV * dv;
    rgb[to + 2] = level + blueOfU * du;
  }
  return { dtype: "u8", shape: [height, width, 3], data: new Uint8Array(rgb.buffer) };
}

/** A picture in planes of Y, U and V (4:2:0) and of alpha, as ffmpeg's `yuva420p`; the planes are views of `data`. */
export interface YuvaPicture {
  readonly data: Uint8Array<ArrayBuffer>;
  readonly luma: Uint8Array;
  readonly u: Uint8Array;
  readonly v: Uint8Array;
  readonly alpha: Uint8Array;
}

/** A picture of even sides whose values are all zero. */
export function emptyYuva({ width, height }: FrameSize): YuvaPicture {
  const pixels = width * height;
  const data = new Uint8Array(2.5 * pixels);
  return {
    data,
    luma: data.subarray(0, pixels),
    u: data.subarray(pixels, 1.25 * pixels),
    v: data.subarray(1.25 * pixels, 1.5 * pixels),
    alpha: data.subarray(1.5 * pixels),
  };
}

/** Luma, U and V of a color in limited range, 8 bits each, by the matrix of BT.601, as ffmpeg converts RGB. */
export function yuvOfColor([r, g, b]: Color): Color {
  const [red, blue] = lumaWeights.smpte170m;
  const y = red * r + (1 - red - blue) * g + blue * b;
  const chroma = (difference: number, weight: number) => (112 * difference) / (255 * (1 - weight));
  return [
    Math.round(16 + (219 / 255) * y),
    Math.round(128 + chroma(b - y, blue)),
    Math.round(128 + chroma(r - y, red)),
  ];
}

/** The channels of an image, one after another. */
function channelsOf(image: ImageTensor): Uint8Array[] {
  const { height, width, channels } = imageSize(image);
  if (channels === 1) return [image.data];
  return Array.from({ length: channels }, (_, c) => {
    const plane = new Uint8Array(height * width);
    for (let i = 0; i < plane.length; i++) plane[i] = u8At(image.data, i * channels + c);
    return plane;
  });
}
