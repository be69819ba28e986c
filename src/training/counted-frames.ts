/** The frames that losses see. */
import type { Clip } from "../datasets/clip.js";
import { joinsSeconds } from "../models/audio-encoder.js";
import type { AvsModelConfig } from "../models/model-config.js";

/** How many first frames of a clip may have ground truth: S4 has, and the published loss takes, the first one. */
export function labeledFrames({ task, frameCount }: Pick<AvsModelConfig, "task" | "frameCount">): number {
  return task === "s4" ? 1 : frameCount;
}

/** Frames of a clip that count in the losses of a model. */
export function countedFrames(
  { labeled }: Pick<Clip, "labeled">,
  config: Pick<AvsModelConfig, "task" | "frameCount">,
): number {
  return labeled.filter((frame) => frame < labeledFrames(config)).length;
}

/** What a step computes of a clip. */
export interface StepParts {
  /** Where no layer joins frames, a model of the labeled ones. Its parameters are the same. */
  readonly config: AvsModelConfig;
  /** Seconds of the clip's sound that their embeddings depend on. */
  readonly soundSeconds: number;
}

/** What a step computes of a clip, with an audio encoder that trains or not: embeddings of one that does not are computed before. */
export function stepParts(config: AvsModelConfig, audioTrains: boolean): StepParts {
  const whole = { config, soundSeconds: config.frameCount };
  if (config.kind !== "seavs" || config.messenger.frames !== 1) return whole;
  const joined = joinsSeconds(config.audio);
  if (joined && audioTrains) return whole;
  const frameCount = labeledFrames(config);
  return { config: { ...config, frameCount }, soundSeconds: joined ? config.frameCount : frameCount };
}
