/** What segmenting a video costs, before it starts. */
import type { Predictor } from "../inference/predictor.js";
import { VGGISH_RATE_HZ } from "../media/log-mel.js";
import { soundInputs } from "../media/sound-inputs.js";
import { stepTimes } from "../media/step-times.js";

/** The model's work for one video. */
export interface SegmentationCost {
  /** Masks that the model predicts. */
  readonly predictions: number;
  /** Runs of the model over a window of its steps. */
  readonly runs: number;
}

/** The cost of a video of this length at `rate` predicted masks per second. */
export function segmentationCost(
  durationSeconds: number,
  { frameCount }: Pick<Predictor, "frameCount">,
  rate = 1,
): SegmentationCost {
  const predictions = stepTimes(durationSeconds, rate).length;
  // Windows of one series hold its steps of `frameCount` seconds.
  const perBlock = frameCount * rate;
  const rest = predictions % perBlock;
  return { predictions, runs: Math.floor(predictions / perBlock) * rate + Math.min(rate, rest) };
}

/** Seconds of one run of a model over a window, measured on a blank one. */
export async function measureRun({ predict, frameCount, imageSize }: Predictor): Promise<number> {
  const pixels = frameCount * imageSize * imageSize * 3;
  const started = performance.now();
  await predict({
    frames: { dtype: "u8", shape: [frameCount, imageSize, imageSize, 3], data: new Uint8Array(pixels) },
    frameMask: { dtype: "f32", shape: [frameCount], data: new Float32Array(frameCount).fill(1) },
    ...soundInputs(new Float32Array(frameCount * VGGISH_RATE_HZ), frameCount),
  });
  return (performance.now() - started) / 1000;
}
