/** Which objects a SoundShapes clip shows and which of them sound when. */
import { hashText, Random } from "../../random.js";
import type { Split, Task } from "../clip.js";
import { type Kind, kinds } from "./kinds.js";
import { drawScene, type Scene } from "./scene.js";

/** The three subsets of AVSS. */
export type AvssSubset = "v1s" | "v1m" | "v2";

/** Identifies one clip; equal specs give equal clips. */
export interface ClipSpec {
  readonly task: Task;
  readonly split: Split;
  /** Number of the clip within its split. */
  readonly index: number;
  readonly seed: number;
  /** Height and width of the frames in pixels. */
  readonly imageSize: number;
  /** Frame rate of the clip as a video; a step's frame is the last one of its second. Default: 16. */
  readonly framesPerSecond?: number | undefined;
  /** Kinds to choose from, at least two. Default: the eight of the benchmark. */
  readonly kinds?: readonly Kind[] | undefined;
}

/** A clip before it is rendered. */
export interface ClipPlan {
  readonly scene: Scene;
  /** One-second steps, T. */
  readonly stepCount: number;
  readonly framesPerSecond: number;
  /** Whether object `i` sounds during step `t`: `sounding[t][i]`. */
  readonly sounding: readonly (readonly boolean[])[];
  /** AVSS only. */
  readonly subset: AvssSubset | undefined;
  /** Key of the random draws of pixel noise and sounds. */
  readonly key: number;
}

/** Default frame rate of SoundShapes videos: that of the published preparation. */
export const defaultFramesPerSecond = 16;

/** The AVSS subset of a clip: half single-source, a quarter each of the others. */
export function subsetOf(index: number): AvssSubset {
  return (["v1s", "v1m", "v1s", "v2"] as const)[index % 4] as AvssSubset;
}

/** Draws a clip's scene and the schedule of its sounds. Throws `RangeError` for fewer than two kinds. */
export function planClip(spec: ClipSpec): ClipPlan {
  const choice = spec.kinds ?? kinds;
  if (choice.length < 2)
    throw new RangeError(`sound shapes: expected at least two kinds, got ${choice.length}`);
  const key = new Random(spec.seed, hashText(`${spec.task}/${spec.split}`), spec.index).u32();
  const random = new Random(key, 1);
  const subset = spec.task === "avss" ? subsetOf(spec.index) : undefined;
  const stepCount = subset === "v2" ? 10 : 5;
  const objectKinds = drawKinds(random, choice);
  const scene = drawScene(random, objectKinds, stepCount);
  const single = spec.task === "s4" || subset === "v1s";
  return {
    scene,
    stepCount,
    framesPerSecond: spec.framesPerSecond ?? defaultFramesPerSecond,
    sounding: single
      ? constantSchedule(random, objectKinds.length, stepCount)
      : changingSchedule(random, objectKinds.length, stepCount),
    subset,
    key,
  };
}

/** Two to four different kinds in random order. */
export function drawKinds(random: Random, choice: readonly Kind[]): Kind[] {
  const count = Math.min(choice.length, 2 + random.integer(3));
  return random
    .permutation(choice.length)
    .slice(0, count)
    .map((i) => choice[i] as Kind);
}

/** Index, within the video, of a step's frame: the last one of its second. */
export function stepFrame(step: number, framesPerSecond: number): number {
  return Math.ceil((step + 1) * framesPerSecond - 1e-6) - 1;
}

/** One object sounds throughout. */
function constantSchedule(random: Random, objectCount: number, stepCount: number): boolean[][] {
  const source = random.integer(objectCount);
  return Array.from({ length: stepCount }, () => Array.from({ length: objectCount }, (_, i) => i === source));
}

/** Zero to three objects sound; the set changes at random steps, at least once. */
function changingSchedule(random: Random, objectCount: number, stepCount: number): boolean[][] {
  const drawSet = (smallest: number): boolean[] => {
    const u = random.uniform();
    const count = Math.min(objectCount, Math.max(smallest, u < 0.15 ? 0 : u < 0.6 ? 1 : u < 0.9 ? 2 : 3));
    const order = random.permutation(objectCount);
    return Array.from({ length: objectCount }, (_, i) => order.indexOf(i) < count);
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
