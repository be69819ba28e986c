/** A decoded frame as the model sees it. */
import type { VideoSample } from "mediabunny";
import { MediaError } from "../errors.js";
import { type ImageTensor, resizeBilinear, rotate } from "../media/resize.js";
import type { FrameSize } from "../media/video.js";
import { isYuvMatrix, rgbOfYuv, type YuvFrame } from "../media/yuv.js";
import { rgbOf } from "../segment/segment-frames.js";

/**
 * The frame upright at each of `sizes`, `u8[height,width,3]`. Its planes are read where they lie and scaled as ffmpeg does
 * it; `matrix` names the colors of the track, or is `undefined` where the file does not.
 */
export async function framePictures(
  sample: VideoSample,
  matrix: string | undefined,
  sizes: readonly FrameSize[],
): Promise<ImageTensor[]> {
  const yuv = sample.flip ? undefined : await planesOf(sample, matrix);
  if (!yuv) {
    const picture = drawn(sample);
    return sizes.map(({ width, height }) => resizeBilinear(picture, height, width));
  }
  const lies = sample.rotation % 180 !== 0;
  return sizes.map(({ width, height }) =>
    rotate(lies ? rgbOfYuv(yuv, width, height) : rgbOfYuv(yuv, height, width), sample.rotation),
  );
}

/** The planes in 8 bits; `undefined` for frames that are not made of luma and chroma. */
async function planesOf(sample: VideoSample, matrix = "smpte170m"): Promise<YuvFrame | undefined> {
  const [, kind, bits = "8"] = /^(I420|I422|I444|NV12)A?(?:P(1\d))?$/.exec(sample.format ?? "") ?? [];
  if (kind === undefined || !isYuvMatrix(matrix)) return undefined;
  const { width, height } = sample.visibleRect;
  const bytes = new Uint8Array(sample.allocationSize());
  const layout = await sample.copyTo(bytes);
  const plane = (index: number, shape: readonly number[]): ImageTensor => {
    const offset = layout[index]?.offset ?? 0;
    const length = shape.reduce((a, b) => a * b);
    if (bits === "8") return { dtype: "u8", shape, data: bytes.subarray(offset, offset + length) };
    const deep = new Uint16Array(bytes.buffer, offset, length);
    return { dtype: "u8", shape, data: Uint8Array.from(deep, (value) => value >> (Number(bits) - 8)) };
  };
  const half = (size: number) => Math.ceil(size / 2);
  const chroma = [
    kind === "I420" || kind === "NV12" ? half(height) : height,
    kind === "I444" ? width : half(width),
  ];
  return {
    luma: plane(0, [height, width]),
    chroma: kind === "NV12" ? [plane(1, [...chroma, 2])] : [plane(1, chroma), plane(2, chroma)],
    matrix,
    fullRange: sample.colorSpace.fullRange ?? false,
  };
}

/** The frame as a page would show it. */
function drawn(sample: VideoSample): ImageTensor {
  const { displayWidth: width, displayHeight: height } = sample;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new MediaError("the browser gives no canvas to draw frames on");
  sample.draw(context, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return rgbOf({ dtype: "u8", shape: [height, width, 4], data: new Uint8Array(data.buffer) });
}
