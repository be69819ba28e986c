/** The one rule for which moments of a video a model looks at, on every platform. */

/** AVSBench samples each second 16 times and keeps the last sample. */
export const SAMPLES_PER_STEP = 16;
/** The largest number of masks per second. */
export const MAX_RATE = 30;
/** Samples at the end of a video that are too few for a step, unless the video has no other. */
const minSamples = 4;

/** One step of a model: a frame, and the second of sound that goes with it. */
export interface StepTime {
  /** Number of the step, from 0 on. */
  readonly index: number;
  /** The step's frame is the last one at or before this time. */
  readonly timeSeconds: number;
  /** Where the step's second of sound begins. */
  readonly startSeconds: number;
  /** How much of that second the video covers, in (0, 1]; below 1 only at the end. */
  readonly coveredSeconds: number;
}

/** Throws `RangeError` unless `rate`, steps per second, is an integer from 1 to 30. */
export function checkRate(rate: number): void {
  if (Number.isInteger(rate) && rate >= 1 && rate <= MAX_RATE) return;
  throw new RangeError(`rate: expected an integer from 1 to ${MAX_RATE} masks per second, got ${rate}`);
}

/**
 * The time of the first step at `rate` steps per second. As published, a second's frame is its last sample, 15/16 s after
 * its start. At higher rates there are `rate` such series, shifted by 1 / `rate` each, as early as time zero allows. All steps
 * of a second go with its sound, so that the published ones are among them.
 */
export function firstStepSeconds(rate: number): number {
  const last = SAMPLES_PER_STEP - 1;
  return (last * rate - Math.floor((last * rate) / SAMPLES_PER_STEP) * SAMPLES_PER_STEP) / (16 * rate);
}

/** Step `index` at `rate` steps per second, of a video that continues after its second: with that second's sound. */
export function fullStep(index: number, rate = 1): StepTime {
  const timeSeconds = firstStepSeconds(rate) + index / rate;
  return { index, timeSeconds, startSeconds: Math.floor(timeSeconds + 1e-9), coveredSeconds: 1 };
}

/**
 * Step `index`, which may be the last one, of a video of `samples` samples (16 a second): a full step; one that takes the
 * last sample as its frame; or `undefined` where too little follows the step before it.
 */
export function stepWithin(samples: number, index: number, rate = 1): StepTime | undefined {
  const full = fullStep(index, rate);
  if (full.timeSeconds * SAMPLES_PER_STEP < samples) {
    return { ...full, coveredSeconds: Math.min(1, samples / SAMPLES_PER_STEP - full.startSeconds) };
  }
  const timeSeconds = (samples - 1) / SAMPLES_PER_STEP;
  const before = index === 0 ? undefined : fullStep(index - 1, rate).timeSeconds;
  if (before !== undefined && (timeSeconds - before) * SAMPLES_PER_STEP < minSamples) return undefined;
  const startSeconds = Math.floor(timeSeconds);
  return { index, timeSeconds, startSeconds, coveredSeconds: samples / SAMPLES_PER_STEP - startSeconds };
}

/**
 * Gives items the steps that they belong to, one after another. `samples` is called at the end, for how many samples the
 * video has: an item that belongs to no step is dropped. Items of one second wait until it is over.
 */
export async function* timed<T>(
  items: AsyncIterable<T>,
  { rate = 1, samples }: { readonly rate?: number | undefined; readonly samples: () => Promise<number> },
): AsyncGenerator<readonly [time: StepTime, item: T], void, undefined> {
  let index = 0;
  let waiting: T[] = [];
  for await (const item of items) {
    if (fullStep(index + waiting.length, rate).startSeconds > fullStep(index, rate).startSeconds) {
      for (const earlier of waiting) yield [fullStep(index++, rate), earlier];
      waiting = [];
    }
    waiting.push(item);
  }
  if (waiting.length === 0) return;
  const total = await samples();
  for (const item of waiting) {
    const time = stepWithin(total, index++, rate);
    if (time) yield [time, item];
  }
}

/** All steps of a video whose last frame ends at `durationSeconds`. A video of any length has at least one. */
export function stepTimes(durationSeconds: number, rate = 1): StepTime[] {
  const samples = Math.max(1, Math.ceil(durationSeconds * SAMPLES_PER_STEP - 1e-6));
  const steps: StepTime[] = [];
  for (;;) {
    const step = stepWithin(samples, steps.length, rate);
    if (step) steps.push(step);
    if (!step || step.timeSeconds !== fullStep(step.index, rate).timeSeconds) return steps;
  }
}
