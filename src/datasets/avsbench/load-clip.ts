/** Decodes one clip in AVSBench's layout: frames and masks resized as published, sound as the model takes it. */

import { at, u8At } from "../../arrays.js";
import { AvsegError, DatasetError } from "../../errors.js";
import { readGray, readRgb } from "../../media/node/image-file.js";
import { type InputFile, inputName } from "../../media/node/input-file.js";
import { classOfColor } from "../../media/palette.js";
import {
  type ImageTensor,
  imageSize,
  resizeBilinear,
  resizeNearest,
  shortSideCenterCrop,
} from "../../media/resize.js";
import type { Clip } from "../clip.js";
import { type ClipRequest, openClipFiles } from "./clip-request.js";
import type { ClipFiles } from "./layout.js";
import { loadSound } from "./load-sound.js";

/** The color of padding frames: the one that normalization maps closest to zero. */
const paddingColor = [124, 116, 104] as const;

/** Fraction of the pixels of a label image that may have colors of no class; they are background, as published. */
const allowedForeignColors = 0.05;

/** Decodes a clip. Throws `DatasetError` that names the clip, the file, the expected and the found content. */
export async function loadClip(request: ClipRequest): Promise<Clip> {
  try {
    const { files, frameCount, imageSize: side, maskSize } = request;
    const store = await openClipFiles(request);
    const count = Math.min(frameCount, files.frames.length);
    const frames = new Uint8Array(frameCount * side * side * 3);
    for (let i = 3 * count * side * side; i < frames.length; i++) frames[i] = at(paddingColor, i % 3);
    const labeled = Array.from({ length: count }, (_, t) => t).filter((t) => files.masks[t] !== undefined);
    const masks = new Uint8Array(labeled.length * maskSize * maskSize);
    const loadStep = async (t: number): Promise<void> => {
      const frameFile = store.at(files.frames[t] as string);
      const frame = await readRgb(frameFile);
      frames.set(resized(frame, request, "bilinear").data, t * side * side * 3);
      const maskFile = files.masks[t];
      if (maskFile === undefined) return;
      const labels = store.at(maskFile);
      const mask =
        request.task === "avss" ? await readClasses(labels, request.classCount) : await readBinary(labels);
      checkSameSize({ image: mask, path: inputName(labels) }, { image: frame, path: inputName(frameFile) });
      masks.set(resized(mask, request, "nearest").data, labeled.indexOf(t) * maskSize * maskSize);
    };
    const [sound] = await Promise.all([
      loadSound(request, store),
      ...Array.from({ length: count }, (_, t) => loadStep(t)),
    ]);
    const frameMask = Float32Array.from({ length: frameCount }, (_, t) => (t < count ? 1 : 0));
    return {
      id: files.id,
      category: files.category,
      frames: { dtype: "u8", shape: [frameCount, side, side, 3], data: frames },
      masks: { dtype: "u8", shape: [labeled.length, maskSize, maskSize], data: masks },
      labeled,
      frameMask: { dtype: "f32", shape: [frameCount], data: frameMask },
      ...sound,
    };
  } catch (error) {
    throw asDatasetError(error, request.files);
  }
}

/** A `DatasetError` that names the clip, for a failure to read one of its files; other errors are unchanged. */
function asDatasetError(error: unknown, files: ClipFiles): unknown {
  if (!(error instanceof AvsegError)) return error;
  const row = files.line > 0 ? `, line ${files.line} of the table` : "";
  return new DatasetError(`clip ${files.id}${row}: ${error.message}`, {
    hint: error.hint,
    cause: error,
  });
}

/** A frame (bilinear) or mask (nearest) at the model's size: cropped to a square in AVSS training, stretched otherwise. */
function resized(image: ImageTensor, request: ClipRequest, filter: "bilinear" | "nearest"): ImageTensor {
  const side = filter === "bilinear" ? request.imageSize : request.maskSize;
  if (request.task === "avss" && request.files.split === "train") {
    return shortSideCenterCrop(image, side, filter);
  }
  const { height, width } = imageSize(image);
  if (height === side && width === side) return image;
  return (filter === "bilinear" ? resizeBilinear : resizeNearest)(image, side, side);
}

interface ReadImage {
  readonly image: ImageTensor;
  readonly path: string;
}

function checkSameSize(mask: ReadImage, frame: ReadImage): void {
  const [m, f] = [imageSize(mask.image), imageSize(frame.image)];
  if (m.height === f.height && m.width === f.width) return;
  throw new DatasetError(
    `${mask.path}: the mask is ${m.width}x${m.height}, expected ${f.width}x${f.height} like its frame ${frame.path}`,
    { hint: "Make the mask again at the frame's size, resizing without interpolation." },
  );
}

/** A binary mask, `u8[H,W]` of 0 and 1: pixels of 128 and above are 1. Throws `DatasetError`. */
export async function readBinary(file: InputFile): Promise<ImageTensor> {
  const maskPath = inputName(file);
  const gray = await readGray(file);
  let brightest = 0;
  const data = gray.data.map((value) => {
    brightest = Math.max(brightest, value);
    return value >= 128 ? 1 : 0;
  });
  if (brightest > 0 && brightest < 128) {
    throw new DatasetError(`${maskPath}: expected a mask of 0 and 255, found values up to ${brightest}`, {
      hint: "Write objects as 255 and the background as 0.",
    });
  }
  return { ...gray, data };
}

/** A semantic label image as class indices, `u8[H,W]`. Throws `DatasetError`. */
export async function readClasses(file: InputFile, classCount: number): Promise<ImageTensor> {
  return classesOf(await readRgb(file), inputName(file), { classCount, allowed: allowedForeignColors });
}

/**
 * The class indices, `u8[H,W]`, of a label image in the colors of the classes, `u8[H,W,3]`. Pixels of other colors are
 * background. Throws `DatasetError` when they are more than the fraction `allowed` of all pixels.
 */
export function classesOf(
  { data, shape }: ImageTensor,
  maskPath: string,
  { classCount, allowed = 0 }: { readonly classCount: number; readonly allowed?: number | undefined },
): ImageTensor {
  const classes = new Uint8Array(data.length / 3);
  let foreign = 0;
  let example = "";
  for (let i = 0; i < classes.length; i++) {
    const [r, g, b] = [u8At(data, 3 * i), u8At(data, 3 * i + 1), u8At(data, 3 * i + 2)];
    if ((r | g | b) === 0) continue;
    const index = classOfColor(r, g, b);
    if (index < classCount) classes[i] = index;
    else {
      foreign++;
      example = `(${r}, ${g}, ${b})`;
    }
  }
  if (foreign > allowed * classes.length) {
    throw new DatasetError(
      `${maskPath}: ${foreign} of ${classes.length} pixels have colors of none of the ${classCount} classes, e.g. ${example}`,
      {
        hint: "Check that the class names belong to these labels, and that the labels were saved without loss.",
      },
    );
  }
  return { dtype: "u8", shape: shape.slice(0, 2), data: classes };
}
