/** The one rule for which moments of a video a model looks at, on every platform. */

/** AVSBench samples each second 16 times and keeps the last sample. */
export const SAMPLES_PER_STEP = 16;
/** A last second with fewer samples is not a step, unless it is the only one. */
const MIN_SAMPLES = 4;

/** When a one-second step begins, which part of it the video covers, and which frame stands for it. */
export interface StepTime {
  /** The step covers `[index, index + 1)` seconds. */
  readonly index: number;
  /** The step's frame is the last one at or before this time. */
  readonly timeSeconds: number;
  /** How much of the second the video covers, in (0, 1]; below 1 only at the end. */
  readonly coveredSeconds: number;
}

/** The step that ends with the last of `samples` samples from time zero on. */
function stepEndingAt(samples: number): StepTime {
  const index = Math.ceil(samples / SAMPLES_PER_STEP) - 1;
  return {
    index,
    timeSeconds: (samples - 1) / SAMPLES_PER_STEP,
    coveredSeconds: samples / SAMPLES_PER_STEP - index,
  };
}

/** Step `index` of a source that covers all of its second. */
export function fullStep(index: number): StepTime {
  return stepEndingAt((index + 1) * SAMPLES_PER_STEP);
}

/** The full step that sample number `samples` (from 1) completes; `undefined` within a second. */
export function fullStepAt(samples: number): StepTime | undefined {
  return samples % SAMPLES_PER_STEP === 0 ? stepEndingAt(samples) : undefined;
}

/** The step in the last, partly covered second of a video of `samples` samples; `undefined` where there is none. */
export function lastStepAt(samples: number): StepTime | undefined {
  const rest = samples % SAMPLES_PER_STEP;
  return rest >= MIN_SAMPLES || (rest > 0 && samples === rest) ? stepEndingAt(samples) : undefined;
}

/** All steps of a video whose last frame ends at `durationSeconds`. A video of any length has at least one. */
export function stepTimes(durationSeconds: number): StepTime[] {
  const samples = Math.max(1, Math.ceil(durationSeconds * SAMPLES_PER_STEP - 1e-6));
  const full = Array.from({ length: Math.floor(samples / SAMPLES_PER_STEP) }, (_, k) => fullStep(k));
  const last = lastStepAt(samples);
  return last ? [...full, last] : full;
}
