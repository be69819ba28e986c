/** What sounds in a video file, frame by frame, in Node. */
import type { Predictor } from "../../inference/predictor.js";
import { probeVideo } from "../../media/node/probe-video.js";
import { checkRate } from "../../media/step-times.js";
import { sliceOf, type VideoSlice } from "../../media/video.js";
import { guideSize } from "../grid.js";
import { type SegmentedFrame, type SegmentOptions, segmentStream } from "../step-stream.js";
import { openVideoSteps } from "./open-video-steps.js";

/** Options of `segmentVideo`. */
export interface SegmentVideoOptions extends SegmentOptions {
  /** The part that is segmented. Times are those of the whole video. Default: all. */
  readonly slice?: VideoSlice | undefined;
}

/**
 * Segments a video file of any length and format that ffmpeg reads, at its displayed size. Default: one frame per second.
 * Memory does not grow with the length; leaving the loop early stops the decoders. Throws `MediaError` when the file
 * cannot be decoded or ffmpeg is missing, and the signal's reason when aborted.
 *
 * ```ts
 * for await (const { timeSeconds, mask } of segmentVideo("street.mp4", model)) {
 *   for (const { label, box, confidence } of mask.regions) console.log(timeSeconds, label, box, confidence);
 * }
 * ```
 */
export async function* segmentVideo(
  file: string,
  model: Predictor,
  options: SegmentVideoOptions = {},
): AsyncGenerator<SegmentedFrame, void, undefined> {
  const { rate = 1, refine, everyFrame, slice, signal } = options;
  checkRate(rate);
  const probed = await probeVideo(file, { signal });
  const info = slice ? sliceOf(probed, slice) : probed;
  const { imageSize } = model;
  const pictures = everyFrame ? guideSize(info) : undefined;
  const stream = openVideoSteps(info, { imageSize, rate, refine, pictures, signal });
  yield* segmentStream(stream, model, options);
}
