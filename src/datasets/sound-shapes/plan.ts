/** Which objects a SoundShapes clip shows and which of them sound when. */
import { hashText, Random } from "../../random.js";
import type { Split, Task } from "../clip.js";
import {
  type ClipForm,
  changingSchedule,
  clipForm,
  constantSchedule,
  type Schedule,
  videoFramesPerSecond,
} from "../generated/schedule.js";
import { type Kind, kinds } from "./kinds.js";
import { drawScene, type Scene } from "./scene.js";

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
export interface ClipPlan extends Pick<ClipForm, "subset" | "stepCount"> {
  readonly scene: Scene;
  readonly framesPerSecond: number;
  /** Whether object `i` sounds during step `t`: `sounding[t][i]`. */
  readonly sounding: Schedule;
  /** Key of the random draws of pixel noise and sounds. */
  readonly key: number;
}

/** Draws a clip's scene and the schedule of its sounds. Throws `RangeError` for fewer than two kinds. */
export function planClip(spec: ClipSpec): ClipPlan {
  const choice = spec.kinds ?? kinds;
  if (choice.length < 2)
    throw new RangeError(`sound shapes: expected at least two kinds, got ${choice.length}`);
  const key = new Random(spec.seed, hashText(`${spec.task}/${spec.split}`), spec.index).u32();
  const random = new Random(key, 1);
  const { subset, stepCount, single } = clipForm(spec.task, spec.index);
  const objectKinds = drawKinds(random, choice);
  const scene = drawScene(random, objectKinds, stepCount);
  return {
    scene,
    stepCount,
    framesPerSecond: spec.framesPerSecond ?? videoFramesPerSecond,
    sounding: single
      ? constantSchedule(random.integer(objectKinds.length), objectKinds.length, stepCount)
      : changingSchedule(random, objectKinds.length, stepCount),
    subset,
    key,
  };
}

/** Two to four different kinds in random order. */
export function drawKinds(random: Random, choice: readonly Kind[]): Kind[] {
  const count = Math.min(choice.length, 2 + random.integer(3));
  return random.shuffled(choice).slice(0, count);
}
