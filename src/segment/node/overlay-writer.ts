/** The overlay video of a segmentation, encoded while the model runs. */
import type { Writable } from "node:stream";
import type { Predictor } from "../../inference/predictor.js";
import { type Look, OverlayEncoder } from "../../media/node/overlay-encoder.js";
import { paddedSize } from "../../media/node/read-video.js";
import type { Cancellable, FrameSize, VideoInfo } from "../../media/video.js";
import { labelNames } from "../mask.js";
import { overlayLayer } from "../overlay-layer.js";
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

/** What an overlay is made of. */
export interface OverlayWriterOptions extends Cancellable {
  /** File to write (MP4). */
  readonly output: string;
  readonly look: Look;
  /** Size of the layers. */
  readonly layer: FrameSize;
  /** Whether the frames come through `frames`. Otherwise the file is decoded again. */
  readonly copies: boolean;
}

/** Size of the layers, and the names that give their colors. */
type LayerForm = FrameSize & { readonly labelNames: readonly string[] };

/** Takes the masks of pictures while an encoder writes their overlay. */
export class OverlayWriter {
  readonly #encoder: OverlayEncoder;
  readonly #layer: LayerForm;
  /** Where the frames go, see `VideoReader`; `undefined` where the file is decoded again. */
  readonly frames: Writable | undefined;

  private constructor(encoder: OverlayEncoder, layer: LayerForm, copies: boolean) {
    this.#encoder = encoder;
    this.#layer = layer;
    this.frames = copies ? encoder.frames : undefined;
  }

  /** Starts an encoder for a probed video and a model. */
  static async start(
    info: VideoInfo,
    model: Predictor,
    { layer, ...options }: OverlayWriterOptions,
  ): Promise<OverlayWriter> {
    const layers = { ...layer, rate: pictureRate(info) };
    const encoder = await OverlayEncoder.start(info, { ...options, layers });
    return new OverlayWriter(encoder, { ...layer, labelNames: labelNames(model.classes) }, options.copies);
  }

  /**
   * Hands the mask of the next picture to the encoder, once it has room. False when the encoder has had its last frame.
   * Throws why it failed.
   */
  async add(map: ProbabilityMap, marks: Marks | undefined): Promise<boolean> {
    const more = await this.#encoder.writeLayer(overlayLayer(map, marks, this.#layer));
    if (!more) await this.finish();
    return more;
  }

  /** Waits until the video is written. Throws why the encoder failed. */
  async finish(): Promise<void> {
    this.#encoder.endLayers();
    await this.#encoder.finish();
  }

  /** Stops the encoder, if it still runs, and waits until it is gone. */
  stop(): Promise<void> {
    return this.#encoder.stop();
  }
}
