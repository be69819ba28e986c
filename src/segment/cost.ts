/** What segmenting a video costs, before it starts. */
import type { Predictor } from "../inference/predictor.js";
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
