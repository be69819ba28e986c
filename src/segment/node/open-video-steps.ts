/** A video file as the stream that models read, in Node. */
import { VGGISH_RATE_HZ } from "../../media/log-mel.js";
import { readFrames, readMonoSound } from "../../media/node/read-video.js";
import type { Cancellable, VideoInfo } from "../../media/video.js";
import type { StepStream } from "../step-stream.js";

/** Opens the decoders of a probed video for a model whose frames are `imageSize` pixels wide and high. */
export function openVideoSteps(info: VideoInfo, imageSize: number, { signal }: Cancellable = {}): StepStream {
  return {
    frames: readFrames(info, { width: imageSize, height: imageSize, signal }),
    sound: readMonoSound(info, { sampleRateHz: VGGISH_RATE_HZ, signal }),
    size: () => info,
    totalSeconds: info.durationSeconds,
  };
}
