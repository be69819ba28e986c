/** A model that can segment: what `openModel` returns, in Node and in browsers. */
import type { LoadedPredictor, Predictor } from "../inference/predictor.js";
import { type FramesInput, segmentFrames } from "./segment-frames.js";
import type { SegmentedFrame, SegmentOptions, SegmentVideoOptions } from "./step-stream.js";

/**
 * A model ready to run. `Video` is how the platform names a video: a path in Node; an address, a file or bytes in a
 * browser. Close the model when it is no longer needed, or declare it with `await using`.
 */
export interface Model<Video> extends LoadedPredictor {
  /**
   * Segments a video, or frames and sound in memory: one mask per second, in order. Memory does not grow with the
   * length; leaving the loop early stops the decoders. Throws `MediaError` when the video cannot be decoded, and the
   * signal's reason when aborted.
   *
   * @example
   * for await (const { timeSeconds, mask } of model.segment("street.mp4")) console.log(timeSeconds, mask.regions);
   */
  segment(video: Video, options?: SegmentVideoOptions): AsyncGenerator<SegmentedFrame, void, undefined>;
  segment(frames: FramesInput, options?: SegmentOptions): AsyncGenerator<SegmentedFrame, void, undefined>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Segments a video on one platform. */
export type SegmentVideo<Video> = (
  video: Video,
  model: Predictor,
  options?: SegmentVideoOptions,
) => AsyncGenerator<SegmentedFrame, void, undefined>;

/** A predictor with the segmenting functions of its platform. */
export function segmentingModel<Video>(
  predictor: LoadedPredictor,
  segmentVideo: SegmentVideo<Video>,
): Model<Video> {
  return {
    ...predictor,
    segment: (input: Video | FramesInput, options?: SegmentVideoOptions) =>
      isFrames(input) ? segmentFrames(input, predictor, options) : segmentVideo(input, predictor, options),
    // Where an engine lacks the symbol, nothing can ask for it.
    [Symbol.asyncDispose ?? Symbol("asyncDispose")]: () => predictor.close(),
  };
}

function isFrames<Video>(input: Video | FramesInput): input is FramesInput {
  return typeof input === "object" && input !== null && "frames" in input;
}
