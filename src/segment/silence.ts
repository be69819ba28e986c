/** Seconds without sound, in which nothing can be sounding. */
import type { ProbabilityMap } from "./probability-map.js";

/**
 * A second is silent when no sample exceeds this level. Below it the log-mel of speech, music and SoundShapes is that of
 * digital silence to a model: with the demo model, masks at a peak of -60 dBFS score as masks without sound do
 * (mIoU 0.032 and 0.030; 0.10 at -50 dBFS, 0.81 at -10 dBFS).
 */
export const SILENCE_DBFS = -60;

/** Whether sound with this largest magnitude (0 to 1) is silent. */
export function isSilent(peak: number): boolean {
  return peak <= 10 ** (SILENCE_DBFS / 20);
}

/** A map of the same size and classes in which nothing sounds. */
export function silenced({ width, height, probabilities }: ProbabilityMap): ProbabilityMap {
  const none = new Float32Array(width * height);
  const background = new Float32Array(width * height).fill(1);
  const planes = [...probabilities.keys()].map((index) => [index, index === 0 ? background : none] as const);
  return { width, height, probabilities: new Map(planes), activeClasses: [] };
}
