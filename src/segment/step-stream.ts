/** Frames and sound of a source in, masks out: the one path that every platform and every kind of source takes. */
import type { Predictor } from "../inference/predictor.js";
import type { ImageTensor } from "../media/resize.js";
import { checkRate } from "../media/step-times.js";
import type { FrameRate, FrameSize, PictureFrame, StepFrame, VideoSlice } from "../media/video.js";
import type { Progress } from "../progress.js";
import { edgeGrid, type GridPicture } from "./grid.js";
import { type Mask, maskOf } from "./mask.js";
import { predictSteps, type Step } from "./predict-steps.js";
import type { Marks, ProbabilityMap } from "./probability-map.js";
import { EdgeRefiner } from "./refine.js";
import { isSilent, silenced } from "./silence.js";
import { type TrackedPicture, trackMasks } from "./track.js";

/** Frames and sound on their way to the model: ffmpeg makes them in Node, WebCodecs in a browser. */
export interface StepStream {
  /** The frames of the model's steps, scaled to its size, in the order of their times. */
  readonly frames: AsyncGenerator<StepFrame, void, undefined>;
  /** 16 kHz mono from time zero on. */
  readonly sound: AsyncGenerator<Float32Array, void, undefined>;
  /** Pictures at a constant rate, where masks are wanted for all of them; their size is that of `guideSize`. */
  readonly pictures?: PictureStream | undefined;
  /** Size of the masks in pixels; read after the first frame. */
  readonly size: () => FrameSize;
  /** What is added to times: where the stream begins within its source. Default: 0. */
  readonly offsetSeconds?: number | undefined;
  /** `undefined` where the source does not announce its length. */
  readonly totalSeconds: number | undefined;
  /** Stops whatever makes the stream. */
  close(): Promise<void>;
}

/** Pictures at a constant rate from time zero on. */
export interface PictureStream {
  readonly rate: FrameRate;
  readonly frames: AsyncGenerator<PictureFrame, void, undefined>;
}

/** What sounds in one frame. */
export interface SegmentedFrame {
  /** Number of the frame among those segmented, from 0 on. */
  readonly index: number;
  /** The frame is the last one at or before this time. */
  readonly timeSeconds: number;
  /** Whether the model predicted the mask from this frame, or the mask was moved here along the picture's motion. */
  readonly kind: "predicted" | "propagated";
  /** The mask at the source's displayed size, and the regions in it. */
  readonly mask: Mask;
  /**
   * Probabilities at the model's resolution, or coarser where they were propagated; `blend` brings them to other times,
   * `maskOf` to other sizes.
   */
  readonly probabilities: ProbabilityMap;
  /** Largest magnitude of the frame's second of sound, 0 to 1; 0 is digital silence. */
  readonly peak: number;
  /** Whether that sound never exceeds -60 dBFS. The mask is then empty, unless `silenceGate` is false. */
  readonly silent: boolean;
}

/** Options of the functions that segment. */
export interface SegmentOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after every frame, in seconds. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /**
   * Masks per second that the model predicts, each from a frame and its own second of sound: an integer from 1 to 30. The
   * cost is proportional. Default: 1, as in AVSBench.
   */
  readonly rate?: number | undefined;
  /** Whether every frame of the video gets a mask; those between predictions are moved along. Default: false. */
  readonly everyFrame?: boolean | undefined;
  /** Whether edges of masks are fitted to those of the picture. Default: true. */
  readonly refine?: boolean | undefined;
  /** Whether masks of silent seconds are empty, whatever the model predicts. Default: true. */
  readonly silenceGate?: boolean | undefined;
}

/** Options of the functions that segment video files. */
export interface SegmentVideoOptions extends SegmentOptions {
  /** The part that is segmented. Times are those of the whole video. Default: all. */
  readonly slice?: VideoSlice | undefined;
}

/** A step whose silence is known. */
export interface GatedStep extends Step {
  readonly silent: boolean;
}

/** The model's steps of a stream, with empty maps where the silence gate says so. Throws `RangeError` for a bad rate. */
export async function* gatedSteps(
  { frames, sound }: StepStream,
  model: Predictor,
  { signal, rate = 1, silenceGate = true }: SegmentOptions,
): AsyncGenerator<GatedStep, void, undefined> {
  checkRate(rate);
  for await (const step of predictSteps(model, { frames, sound, rate, signal })) {
    const silent = isSilent(step.peak);
    const probabilities = silent && silenceGate ? silenced(step.probabilities) : step.probabilities;
    yield { ...step, silent, probabilities };
  }
}

/** Makes masks at the source's size. */
export class MaskMaker {
  readonly #size: () => FrameSize;
  readonly #offsetSeconds: number;
  readonly #classes: readonly string[];
  readonly #edgeGrid: number;
  readonly #refiner: EdgeRefiner | undefined;

  constructor(stream: StepStream, model: Predictor, { refine = true }: SegmentOptions) {
    this.#size = stream.size;
    this.#offsetSeconds = stream.offsetSeconds ?? 0;
    this.#classes = model.classes;
    this.#edgeGrid = edgeGrid(model);
    this.#refiner = refine ? new EdgeRefiner(this.#edgeGrid) : undefined;
  }

  /** Maps of all pictures, moved from step to step, for `pictureFrame` or `marks`. */
  track(
    steps: AsyncIterable<GatedStep>,
    { rate, frames }: PictureStream,
  ): AsyncGenerator<TrackedPicture<GatedStep>, void, undefined> {
    const onGrid = this.#refiner !== undefined;
    return trackMasks(steps, frames, { rate, edgeGrid: this.#edgeGrid, onGrid });
  }

  /** What is marked at the guide's size; `undefined` without a guide, or where edges are not refined. */
  marks(map: ProbabilityMap, guide: ImageTensor | undefined, grid?: GridPicture): Marks | undefined {
    return guide && this.#refiner?.refine(map, guide, grid);
  }

  /** The mask. Default of `marks`: as the map's probabilities say. */
  mask(map: ProbabilityMap, marks: Marks | undefined): Mask {
    return maskOf(map, { ...this.#size(), classes: this.#classes, marks });
  }

  /** The frame of a step. */
  stepFrame({ index, timeSeconds, peak, silent, probabilities, guide }: GatedStep): SegmentedFrame {
    const mask = this.mask(probabilities, this.marks(probabilities, guide));
    const time = timeSeconds + this.#offsetSeconds;
    return { index, timeSeconds: time, kind: "predicted", mask, probabilities, peak, silent };
  }

  /** The frame of a picture, whose marks may be known already. */
  pictureFrame(
    { index, timeSeconds, probabilities, predicted, anchor, image, grid }: TrackedPicture<GatedStep>,
    marks = this.marks(probabilities, image, grid),
  ): SegmentedFrame {
    const mask = this.mask(probabilities, marks);
    const kind = predicted ? "predicted" : "propagated";
    const { peak, silent } = anchor;
    return { index, timeSeconds: timeSeconds + this.#offsetSeconds, kind, mask, probabilities, peak, silent };
  }
}

/** Segments a stream and closes it, also when the caller stops early. Throws the signal's reason when aborted. */
export async function* segmentStream(
  stream: StepStream,
  model: Predictor,
  options: SegmentOptions = {},
): AsyncGenerator<SegmentedFrame, void, undefined> {
  const { onProgress, everyFrame = false } = options;
  const total = stream.totalSeconds;
  const maker = new MaskMaker(stream, model, options);
  const steps = gatedSteps(stream, model, options);
  try {
    if (everyFrame) {
      const { pictures } = stream;
      if (!pictures) throw new TypeError("segment: the source gives no pictures between the model's steps");
      for await (const picture of maker.track(steps, pictures)) {
        yield maker.pictureFrame(picture);
        onProgress?.({ done: picture.timeSeconds, total });
        await nextTask();
      }
    } else {
      for await (const step of steps) {
        yield maker.stepFrame(step);
        onProgress?.({ done: step.startSeconds + step.coveredSeconds, total });
        await nextTask();
      }
    }
  } finally {
    await stream.close();
  }
}

/** Gives the thread back for a moment: a page draws and a server answers between two frames. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    // Not a timer: browsers slow those down where a page is in the background.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
