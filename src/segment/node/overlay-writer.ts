/** The overlay video of a segmentation, encoded while the model runs. */
import { BoundedQueue } from "../../bounded-queue.js";
import { writeOverlayVideo } from "../../media/node/write-overlay-video.js";
import type { Cancellable, FrameRate, VideoInfo } from "../../media/video.js";
import { layerSize, overlayLayers } from "../overlay-layers.js";
import type { SegmentedFrame } from "../step-stream.js";

/** Frames that may wait for the encoder: a window of AVSS. */
const capacity = 10;

/** The source's own rate, so that every frame has its layer, within what the eye can tell. */
function layerRate({ frameRate }: VideoInfo): FrameRate {
  const perSecond = frameRate.numerator / frameRate.denominator;
  if (perSecond > 60) return { numerator: 60, denominator: 1 };
  return perSecond < 5 ? { numerator: 5, denominator: 1 } : frameRate;
}

/** Takes frames while an encoder writes their overlay. */
export class OverlayWriter {
  readonly #frames = new BoundedQueue<SegmentedFrame>(capacity);
  readonly #written: Promise<void>;
  #failure: unknown;

  /** Starts the encoder. `classes` are the model's; `output` is the MP4 to write. */
  constructor(
    info: VideoInfo,
    { output, classes, signal }: Cancellable & { output: string; classes: readonly string[] },
  ) {
    const { width, height } = layerSize(info.width, info.height);
    const rate = layerRate(info);
    this.#written = writeOverlayVideo(info, {
      output,
      pictures: overlayLayers(this.#frames, { width, height, rate, classes }),
      pictureWidth: width,
      pictureHeight: height,
      pictureRate: rate,
      signal,
    });
    this.#written.catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** Hands a frame to the encoder, once it has room. Throws why the encoder failed. */
  async add(frame: SegmentedFrame): Promise<void> {
    await this.#frames.push(frame);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Waits until the video is written. Throws why the encoder failed. */
  async finish(): Promise<void> {
    this.#frames.end();
    await this.#written;
  }

  /** Waits until the encoder is gone, however it ended. */
  async ended(): Promise<void> {
    this.#frames.end();
    await Promise.allSettled([this.#written]);
  }
}
