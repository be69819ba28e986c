/** The size of frames that a checkpoint's model takes. */
import { CheckpointError } from "../errors.js";
import { modelConfigFromJson, modelConfigProblem, modelConfigToJson } from "../models/model-config.js";
import { type Metadata, readCheckpointHeader } from "../weights/checkpoint.js";

/**
 * The metadata of a checkpoint whose model takes frames of `imageSize` x `imageSize` pixels. Its weights fit any size; one
 * that is larger than in training lets encoders recognize smaller things. Throws `CheckpointError` for a file that does not
 * describe its model, and for an impossible size. `file` names it in messages.
 */
export function withImageSize(metadata: Metadata, imageSize: number, file: string): Metadata {
  const model = readCheckpointHeader(metadata, file)?.model;
  if (model === undefined) {
    throw new CheckpointError(
      `${file}: it does not describe its model, so that the size of frames cannot be changed`,
      {
        hint: "Give a checkpoint of `avseg train`; other files take the size of a configuration (data.imageSize).",
      },
    );
  }
  const config = { ...modelConfigFromJson(model, file), imageSize };
  const problem = modelConfigProblem(config);
  if (problem) {
    throw new CheckpointError(`${file}: frames of ${imageSize} pixels: ${problem.message}`, {
      hint: "Choose another size.",
    });
  }
  return { ...metadata, model: modelConfigToJson(config) };
}
