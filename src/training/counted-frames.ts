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

/** What a step computes of a clip: where no layer joins frames, a model of the labeled ones. Its parameters are the same. */
export function stepConfig(config: AvsModelConfig): AvsModelConfig {
  const apart = config.kind === "seavs" && config.messenger.frames === 1;
  return apart ? { ...config, frameCount: labeledFrames(config) } : config;
}
