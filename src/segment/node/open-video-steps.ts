/** A video file as the stream that models read, in Node. */
import type { Writable } from "node:stream";
import { VGGISH_RATE_HZ } from "../../media/log-mel.js";
import { probeVideo } from "../../media/node/probe-video.js";
import { readMonoSound, VideoReader } from "../../media/node/read-video.js";
import {
  type Cancellable,
  type FrameRate,
  type FrameSize,
  sliceOf,
  type VideoInfo,
  type VideoSlice,
} from "../../media/video.js";
import { guideSize } from "../grid.js";
import type { StepStream } from "../step-stream.js";

/** What is read of a video. */
export interface VideoStepOptions extends Cancellable {
  /** Side of the model's frames in pixels. */
  readonly imageSize: number;
  /** Steps per second. Default: 1. */
  readonly rate?: number | undefined;
  /** Whether edges are refined. Default: true. */
  readonly refine?: boolean | undefined;
  /** Size of the pictures between the steps. Default: none are read. */
  readonly pictures?: FrameSize | undefined;
  /** Where the frames go at full size, see `VideoReader`. */
  readonly copiesTo?: Writable | undefined;
}

/** What a file holds, for one that was not probed before; with `slice`, of that part of it. */
export async function videoInfo(
  video: string | VideoInfo,
  { slice, signal }: Cancellable & { readonly slice?: VideoSlice | undefined },
): Promise<VideoInfo> {
  const info = typeof video === "string" ? await probeVideo(video, { signal }) : video;
  return slice ? sliceOf(info, slice) : info;
}

/** The source's own rate, so that every frame has its picture, within what the eye can tell. */
export function pictureRate({ frameRate }: VideoInfo): FrameRate {
  const perSecond = frameRate.numerator / frameRate.denominator;
  if (perSecond > 60) return { numerator: 60, denominator: 1 };
  return perSecond < 5 ? { numerator: 5, denominator: 1 } : frameRate;
}

/** Opens the decoders of a probed video: one for all frames, one for the sound. */
export function openVideoSteps(info: VideoInfo, options: VideoStepOptions): StepStream {
  const { imageSize, rate = 1, refine = true, signal, copiesTo } = options;
  const pictures = options.pictures && { ...options.pictures, rate: pictureRate(info) };
  const reader = new VideoReader(info, {
    steps: {
      width: imageSize,
      height: imageSize,
      rate,
      guide: refine ? guideSize(info, options) : undefined,
    },
    pictures,
    copiesTo,
    signal,
  });
  const sound = readMonoSound(info, { sampleRateHz: VGGISH_RATE_HZ, signal });
  return {
    frames: reader.steps(),
    sound,
    pictures: pictures && { rate: pictures.rate, frames: reader.pictures() },
    size: () => info,
    offsetSeconds: info.slice?.startSeconds,
    totalSeconds: info.durationSeconds,
    close: async () => {
      await Promise.allSettled([reader.close(), sound.return()]);
    },
  };
}
