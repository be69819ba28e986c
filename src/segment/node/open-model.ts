/** A model ready to segment with, in Node. */
import { type OpenPredictorOptions, openPredictor } from "../../inference/node/open-predictor.js";
import { type Model, segmentingModel } from "../model.js";
import { DEMO_MODEL } from "./demo-model.js";
import { segmentVideo } from "./segment-video.js";

/** Which model to open and how to run it. */
export interface OpenModelOptions extends Omit<OpenPredictorOptions, "checkpoint"> {
  /**
   * A checkpoint of `avseg train`, a published one of the whole state dict (torch or safetensors), or an ONNX file of
   * `avseg export`. Without it the demo model of the package is used, which knows generated shapes and no
   * real objects.
   */
  readonly checkpoint?: string | undefined;
}

/**
 * Opens a model. Close it when it is no longer needed: it owns a worker thread. Throws `CheckpointError` when a file
 * is missing or damaged, does not fit, or is another encoder than the checkpoint was trained on.
 *
 * @example
 * await using model = await openModel({ checkpoint: "best.safetensors" });
 * for await (const { timeSeconds, mask } of model.segment("street.mp4")) console.log(timeSeconds, mask.regions);
 */
export async function openModel({ checkpoint, ...options }: OpenModelOptions = {}): Promise<Model<string>> {
  return segmentingModel(
    await openPredictor({ ...options, checkpoint: checkpoint ?? DEMO_MODEL }),
    segmentVideo,
  );
}
