/** The steps of a generated clip: how many there are, which frame shows one, and when the objects sound. */
import type { Random } from "../../random.js";
import type { Task } from "../clip.js";

/** Frame rate of generated videos: that of the published preparation of AVSBench. */
export const videoFramesPerSecond = 16;

/**
 * Sounds change at this time times the step. A step lasts a second, but consecutive VGGish examples start 0.96 s apart:
 * both the example and the second of a step mostly contain its own objects.
 */
export const soundStepSeconds = 0.98;

/** The three subsets of AVSS. */
export type AvssSubset = "v1s" | "v1m" | "v2";

/** The AVSS subset of a clip: half single-source, a quarter each of the others. */
export function subsetOf(index: number): AvssSubset {
  return (["v1s", "v1m", "v1s", "v2"] as const)[index % 4] as AvssSubset;
}

/** What the setting of AVSBench and its number decide about a clip. */
export interface ClipForm {
  /** AVSS only. */
  readonly subset: AvssSubset | undefined;
  /** One-second steps, T. */
  readonly stepCount: number;
  /** Whether one object sounds throughout. */
  readonly single: boolean;
}

/** The form of clip `index` of its split. */
export function clipForm(task: Task, index: number): ClipForm {
  const subset = task === "avss" ? subsetOf(index) : undefined;
  return { subset, stepCount: subset === "v2" ? 10 : 5, single: task === "s4" || subset === "v1s" };
}

/** Index, within the video, of a step's frame: the last one of its second. */
export function stepFrame(step: number, framesPerSecond: number): number {
  return Math.ceil((step + 1) * framesPerSecond - 1e-6) - 1;
}

/** Whether object `i` sounds during step `t`: `schedule[t][i]`. */
export type Schedule = boolean[][];

/** Object `source` sounds throughout. */
export function constantSchedule(source: number, objectCount: number, stepCount: number): Schedule {
  return Array.from({ length: stepCount }, () => Array.from({ length: objectCount }, (_, i) => i === source));
}

/**
 * Zero to three of the first `voiceCount` objects sound; the set changes at random steps, at least once. The other
 * objects are silent. Default: all may sound.
 */
export function changingSchedule(
  random: Random,
  objectCount: number,
  stepCount: number,
  voiceCount = objectCount,
): Schedule {
  const drawSet = (smallest: number): boolean[] => {
    const u = random.uniform();
    const count = Math.min(voiceCount, Math.max(smallest, u < 0.15 ? 0 : u < 0.6 ? 1 : u < 0.9 ? 2 : 3));
    const order = random.permutation(voiceCount);
    return Array.from({ length: objectCount }, (_, i) => i < voiceCount && order.indexOf(i) < count);
  };
  const certain = 1 + random.integer(stepCount - 1);
  let current = drawSet(1);
  return Array.from({ length: stepCount }, (_, step) => {
    if (step === certain || (step > 0 && random.uniform() < 0.35)) {
      const before = current.join();
      do current = drawSet(0);
      while (current.join() === before);
    }
    return current;
  });
}
