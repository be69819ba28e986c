/** The frames that losses see. */
import type { Clip } from "../datasets/clip.js";
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
