/** What sounds in a video file, frame by frame, in Node. */
import type { Predictor } from "../../inference/predictor.js";
import { checkRate } from "../../media/step-times.js";
import { guideSize } from "../grid.js";
import { type SegmentedFrame, type SegmentVideoOptions, segmentStream } from "../step-stream.js";
import { openVideoSteps, videoInfo } from "./open-video-steps.js";

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
  const info = await videoInfo(file, { slice, signal });
  const { imageSize } = model;
  const pictures = everyFrame ? guideSize(info, model) : undefined;
  const stream = openVideoSteps(info, { imageSize, rate, refine, pictures, signal });
  yield* segmentStream(stream, model, options);
}
