/** What sounds in a video file, frame by frame, in Node. */

import type { Predictor } from "../../inference/predictor.js";
import { VGGISH_RATE_HZ } from "../../media/log-mel.js";
import { ffmpegBackend } from "../../media/node/ffmpeg.js";
import { type SegmentedFrame, type SegmentFramesOptions, segmentStream } from "../segment-frames.js";

/**
 * Segments a video file of any length and format that ffmpeg reads, one frame per second, at its displayed size.
 * Memory does not grow with the length; leaving the loop early stops the decoders. Throws `MediaError` when the file
 * cannot be decoded or ffmpeg is missing, and the signal's reason when aborted.
 */
export async function* segmentVideo(
  file: string,
  model: Predictor,
  options: SegmentFramesOptions = {},
): AsyncGenerator<SegmentedFrame, void, undefined> {
  const cancel = { signal: options.signal };
  const info = await ffmpegBackend.info(file, cancel);
  const side = model.imageSize;
  const stream = {
    frames: ffmpegBackend.framesAt(info, { width: side, height: side, ...cancel }),
    sound: ffmpegBackend.monoAudio(info, { sampleRateHz: VGGISH_RATE_HZ, ...cancel }),
    size: () => info,
    totalSeconds: info.durationSeconds,
  };
  yield* segmentStream(stream, model, options);
}
