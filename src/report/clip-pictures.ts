/**
 * A clip's pictures for a report: ground truth and prediction over the frames, and the loudness of its sound.
 */
import sharp from "sharp";
import type { Clip } from "../datasets/clip.js";
import { paintLabels } from "../media/painting.js";
import { type Color, colorOfClass } from "../media/palette.js";
import { type ImageTensor, imageSize, resizeNearest } from "../media/resize.js";
import type { TensorOf } from "../tensor.js";
import type { ReportClip, ReportSound } from "./report.js";

const truthColor: Color = [18, 165, 148];
const predictionColor: Color = [247, 103, 7];
/** Opacity of the black over everything but the mask. */
const backgroundDim = 0.3;
/** Smaller frames are enlarged to at least this side, in pixels. */
const minSide = 200;
const jpegQuality = 82;

/** Options of `clipPictures`. */
export interface ClipPictureOptions {
  readonly metrics: ReportClip["metrics"];
  /** Class names by index (AVSS): every class has its color, and a legend names them. */
  readonly classes?: readonly string[] | undefined;
  /** Mono samples of the whole clip. Default: those that the clip has, or the loudness of its log-mels. */
  readonly samples?: Float32Array | undefined;
}

/**
 * Pictures of a clip with its predicted masks, `u8[T,H,W]` (0 or 1, or class indices). Padded frames are left
 * out.
 */
export async function clipPictures(
  clip: Clip,
  masks: TensorOf<"u8">,
  { metrics, classes, samples }: ClipPictureOptions,
): Promise<ReportClip> {
  const seen = new Set<number>();
  const picture = async (frame: ImageTensor, labels: ImageTensor, color: Color): Promise<string> => {
    if (classes) for (const label of labels.data) seen.add(label);
    return overlayAddress(frame, labels, (label) => (classes ? colorOfClass(label) : color));
  };
  const steps = Array.from({ length: clip.frames.shape[0] ?? 0 }, (_, t) => t).filter(
    (t) => clip.frameMask.data[t] !== 0,
  );
  const frames = await Promise.all(
    steps.map(async (t) => {
      const frame = slice(clip.frames, t);
      const m = clip.labeled.indexOf(t);
      const truth = m < 0 ? undefined : await picture(frame, slice(clip.masks, m), truthColor);
      const prediction = await picture(frame, slice(masks, t), predictionColor);
      return { seconds: t + 1, truth, prediction };
    }),
  );
  const legend = [...seen]
    .sort((a, b) => a - b)
    .filter((k) => k !== 0)
    .map((k) => ({ name: classes?.[k] ?? `class ${k}`, color: hex(colorOfClass(k)) }));
  return {
    id: clip.id,
    category: clip.category,
    metrics,
    frames: frames.map(({ seconds, truth }) => ({ seconds, truth })),
    predictions: [{ name: "predicted", pictures: frames.map(({ prediction }) => prediction) }],
    sound: soundPicture(clip, steps, samples),
    legend: legend.length > 0 ? legend : undefined,
  };
}

function soundPicture(
  { logMel, sound }: Clip,
  steps: readonly number[],
  samples: Float32Array | undefined = sound?.data,
): ReportSound | undefined {
  if (samples !== undefined) return waveform(samples);
  return logMel && loudness(logMel, steps);
}

/**
 * Loudness of the given steps of log-mels `f32[T,1,96,64]`: mean magnitude over the bands, over its maximum.
 */
export function loudness(logMel: TensorOf<"f32">, steps: readonly number[]): ReportSound {
  const [, , windows = 96, bands = 64] = logMel.shape;
  const levels = steps.flatMap((t) =>
    Array.from({ length: windows }, (_, w) => {
      const start = (t * windows + w) * bands;
      const sum = logMel.data.subarray(start, start + bands).reduce((total, v) => total + Math.exp(v), 0);
      return Math.max(0, sum / bands - 0.0101); // the log-mel of silence is log(0.01)
    }),
  );
  return { envelope: normalized(levels), source: "loudness, from the log-mel" };
}

/** Peaks of mono samples in about 500 stretches, over their maximum. */
export function waveform(samples: Float32Array): ReportSound {
  const run = Math.max(1, Math.ceil(samples.length / 500));
  const peaks: number[] = [];
  for (let i = 0; i < samples.length; i += run) {
    peaks.push(samples.subarray(i, i + run).reduce((peak, v) => Math.max(peak, Math.abs(v)), 0));
  }
  return { envelope: normalized(peaks), source: "waveform" };
}

function normalized(levels: readonly number[]): number[] {
  const loudest = levels.reduce((max, v) => Math.max(max, v), 0);
  return levels.map((v) => (loudest === 0 ? 0 : Math.round((v / loudest) * 1000) / 1000));
}

/** Item `index` of the first axis. */
function slice(tensor: TensorOf<"u8">, index: number): ImageTensor {
  const shape = tensor.shape.slice(1);
  const size = shape.reduce((n, d) => n * d, 1);
  return { dtype: "u8", shape, data: tensor.data.subarray(index * size, (index + 1) * size) };
}

/** A frame `u8[H,W,3]` with labels `u8[H,W]` painted over it, as the address of a JPEG. */
async function overlayAddress(
  frame: ImageTensor,
  labels: ImageTensor,
  colorOf: (label: number) => Color,
): Promise<string> {
  const { height, width } = imageSize(frame);
  const scale = Math.max(1, Math.ceil(minSide / Math.min(height, width)));
  const size = { width: width * scale, height: height * scale };
  const outline = Math.max(1, Math.round((2 * Math.min(size.height, size.width)) / 224));
  const labeled = imageSize(labels);
  const fits = labeled.height === size.height && labeled.width === size.width;
  const enlarged = fits ? labels : resizeNearest(labels, size.height, size.width);
  const { data } = paintLabels(enlarged, { colorOf, dim: backgroundDim, outline });
  const jpeg = await sharp(frame.data, { raw: { width, height, channels: 3 } })
    .resize(size.width, size.height, { kernel: "linear", fit: "fill" })
    .composite([{ input: Buffer.from(data.buffer), raw: { ...size, channels: 4 } }])
    .jpeg({ quality: jpegQuality, chromaSubsampling: "4:4:4" })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString("base64")}`;
}

function hex(color: readonly number[]): string {
  return `#${color.map((v) => v.toString(16).padStart(2, "0")).join("")}`;
}
