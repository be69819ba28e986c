/** The overlay video of a segmentation, encoded while the model runs. */
import type { Writable } from "node:stream";
import { type LayeredVideo, OverlayEncoder } from "../../media/node/overlay-encoder.js";
import { paddedSize } from "../../media/node/read-video.js";
import type { Cancellable, VideoInfo } from "../../media/video.js";
import { type LayerForm, LayerPainter } from "../overlay-layer.js";
import type { Marks, ProbabilityMap } from "../probability-map.js";
import { pictureRate } from "./open-video-steps.js";

/** Frames at full size may wait in this much memory for their masks. */
const frameBudgetBytes = 256 * 2 ** 20;
/** Windows of the model between a frame that is decoded and its mask. */
const windowsAhead = 3;

/**
 * Whether a video's frames can be decoded once for both model and overlay: they wait until the model has seen its windows
 * of `frameCount` seconds. Larger ones are decoded a second time.
 */
export function fitsInMemory(info: VideoInfo, frameCount: number): boolean {
  const { width, height } = paddedSize(info);
  const perSecond = info.frameRate.numerator / info.frameRate.denominator;
  return width * height * 1.5 * perSecond * frameCount * windowsAhead <= frameBudgetBytes;
}

/** What overlays are made of. */
export interface OverlayWriterOptions extends Cancellable {
  /** One or more videos that show the same masks. */
  readonly videos: readonly LayeredVideo[];
  /** Size of the layers, and the names that give their colors. */
  readonly layer: LayerForm;
  /** Whether the frames of the first video come through `frames`. Otherwise the file is decoded again for each. */
  readonly copies: boolean;
}

/** Takes the masks of pictures while encoders write their overlays. */
export class OverlayWriter {
  readonly #encoders: readonly OverlayEncoder[];
  /** Encoders that take further layers. */
  readonly #reading: Set<OverlayEncoder>;
  readonly #painter: LayerPainter;
  /** Where the frames go, see `VideoReader`; `undefined` where the file is decoded again. */
  readonly frames: Writable | undefined;

  private constructor(encoders: readonly OverlayEncoder[], layer: LayerForm, copies: boolean) {
    this.#encoders = encoders;
    this.#reading = new Set(encoders);
    this.#painter = new LayerPainter(layer);
    this.frames = copies ? encoders[0]?.frames : undefined;
  }

  /** Starts the encoders for a probed video. */
  static async start(info: VideoInfo, options: OverlayWriterOptions): Promise<OverlayWriter> {
    const { videos, layer, copies, signal } = options;
    const layers = { width: layer.width, height: layer.height, rate: pictureRate(info) };
    const encoders: OverlayEncoder[] = [];
    try {
      for (const [i, video] of videos.entries()) {
        encoders.push(
          await OverlayEncoder.start(info, { ...video, layers, copies: copies && i === 0, signal }),
        );
      }
    } catch (error) {
      await Promise.allSettled(encoders.map((encoder) => encoder.stop()));
      throw error;
    }
    return new OverlayWriter(encoders, layer, copies);
  }

  /**
   * Hands the mask of the next picture to the encoders, once they have room. False when all have had their last frame.
   * Throws why one failed.
   */
  async add(map: ProbabilityMap, marks: Marks | undefined): Promise<boolean> {
    const layer = this.#painter.paint(map, marks); // once it is written, its memory takes the next one
    for (const encoder of this.#reading) {
      if (await encoder.writeLayer(layer)) continue;
      this.#reading.delete(encoder);
      encoder.endLayers();
      await encoder.finish();
    }
    return this.#reading.size > 0;
  }

  /** Waits until the videos are written. Throws why an encoder failed. */
  async finish(): Promise<void> {
    for (const encoder of this.#encoders) encoder.endLayers();
    await Promise.all(this.#encoders.map((encoder) => encoder.finish()));
  }

  /** Stops the encoders that still run, and waits until they are gone. */
  async stop(): Promise<void> {
    await Promise.all(this.#encoders.map((encoder) => encoder.stop()));
  }
}
