/** Frames and sound of a source in, masks out: the one path that every platform and every kind of source takes. */
import type { Predictor } from "../inference/predictor.js";
import type { StepFrame } from "../media/video.js";
import type { Progress } from "../progress.js";
import { type Mask, maskOf } from "./mask.js";
import { predictSteps } from "./predict-steps.js";
import type { ProbabilityMap } from "./probability-map.js";
import { isSilent, silenced } from "./silence.js";

/** Frames and sound on their way to the model: ffmpeg makes them in Node, WebCodecs in a browser. */
export interface StepStream {
  /** The frame of every second, scaled to the model's size. */
  readonly frames: AsyncGenerator<StepFrame, void, undefined>;
  /** 16 kHz mono from time zero on. */
  readonly sound: AsyncGenerator<Float32Array, void, undefined>;
  /** Size of the masks in pixels; read after the first frame. */
  readonly size: () => { readonly width: number; readonly height: number };
  /** `undefined` where the source does not announce its length. */
  readonly totalSeconds: number | undefined;
}

/** What the model predicts for one second. */
export interface SegmentedFrame {
  /** The step covers `[index, index + 1)` seconds. */
  readonly index: number;
  /** The frame is the last one at or before this time. */
  readonly timeSeconds: number;
  /** The mask at the source's displayed size, and the regions in it. */
  readonly mask: Mask;
  /** Probabilities at the model's resolution; `blend` brings them to other times, `maskOf` to other sizes. */
  readonly probabilities: ProbabilityMap;
  /** Largest magnitude of the step's sound, 0 to 1; 0 is digital silence. */
  readonly peak: number;
  /** Whether the step's sound never exceeds -60 dBFS. Its mask is then empty, unless `silenceGate` is false. */
  readonly silent: boolean;
}

/** Options of the functions that segment. */
export interface SegmentOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after every frame, in seconds. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Whether masks of silent seconds are empty, whatever the model predicts. Default: true. */
  readonly silenceGate?: boolean | undefined;
}

/** Segments a stream and closes it, also when the caller stops early. Throws the signal's reason when aborted. */
export async function* segmentStream(
  { frames, sound, size, totalSeconds }: StepStream,
  model: Predictor,
  { signal, onProgress, silenceGate = true }: SegmentOptions = {},
): AsyncGenerator<SegmentedFrame, void, undefined> {
  try {
    for await (const step of predictSteps(model, { frames, sound, signal })) {
      const { index, timeSeconds, coveredSeconds, peak } = step;
      const silent = isSilent(peak);
      const probabilities = silent && silenceGate ? silenced(step.probabilities) : step.probabilities;
      const mask = maskOf(probabilities, { ...size(), classes: model.classes });
      yield { index, timeSeconds, mask, probabilities, peak, silent };
      onProgress?.({ done: index + coveredSeconds, total: totalSeconds });
      await nextTask();
    }
  } finally {
    await Promise.allSettled([frames.return(), sound.return()]);
  }
}

/** Gives the thread back for a moment: a page draws and a server answers between two steps. */
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
