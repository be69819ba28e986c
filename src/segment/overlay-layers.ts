/** The layers that an overlay video shows: one per picture, blended in time between the model's steps. */
import type { FrameRate } from "../media/video.js";
import { maskOf, paintMask } from "./mask.js";
import { blend } from "./probability-map.js";
import type { SegmentedFrame } from "./step-stream.js";

/** The model sees few hundred pixels: a layer with this longer side holds all it knows, and ffmpeg scales it up. */
const longerSide = 960;

/** Size of the layers for frames of `width` x `height`. */
export function layerSize(width: number, height: number): { width: number; height: number } {
  const shrink = Math.min(1, longerSide / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * shrink)), height: Math.max(1, Math.round(height * shrink)) };
}

/** How layers are made. */
export interface LayerOptions {
  readonly width: number;
  readonly height: number;
  /** Layers per second. */
  readonly rate: FrameRate;
  /** The model's classes. */
  readonly classes: readonly string[];
}

/**
 * RGBA layers at a constant rate from time zero on, the probabilities blended linearly between the frames' times. Ends
 * with the last frame, whose layer stays.
 */
export async function* overlayLayers(
  frames: AsyncIterable<Pick<SegmentedFrame, "timeSeconds" | "probabilities">>,
  { width, height, rate, classes }: LayerOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const layer = (map: SegmentedFrame["probabilities"]) =>
    paintMask(maskOf(map, { width, height, classes })).data;
  let before: Pick<SegmentedFrame, "timeSeconds" | "probabilities"> | undefined;
  let number = 0;
  for await (const after of frames) {
    before ??= after;
    for (;;) {
      const time = (number * rate.denominator) / rate.numerator;
      if (time >= after.timeSeconds) break;
      const span = after.timeSeconds - before.timeSeconds;
      const weight = span > 0 ? Math.max(0, (time - before.timeSeconds) / span) : 0;
      yield layer(
        weight > 0 ? blend(before.probabilities, after.probabilities, weight) : before.probabilities,
      );
      number++;
    }
    before = after;
  }
  if (before) yield layer(before.probabilities);
}
