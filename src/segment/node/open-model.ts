/** A model ready to segment with, in Node. */
import { ConfigError } from "../../errors.js";
import { type OpenPredictorOptions, openPredictor } from "../../inference/node/open-predictor.js";
import {
  missingFiles,
  type PullModelOptions,
  publishedModelOptions,
  pullModel,
} from "../../inference/node/published-model.js";
import { type Model, segmentingModel } from "../model.js";
import { segmentVideo } from "./segment-video.js";
import { NATURAL_MODEL } from "./shipped-models.js";

/** Which model to open and how to run it. */
export interface OpenModelOptions extends Omit<OpenPredictorOptions, "checkpoint"> {
  /**
   * A checkpoint of `avseg train`, a published one of the whole state dict (torch or safetensors), or an ONNX file of
   * `avseg export`. Without it and `model` the natural model of the package is used, which knows about 50 kinds of
   * animals, vehicles, instruments and people.
   */
  readonly checkpoint?: string | undefined;
  /** A public trained model by name (`PUBLISHED_MODELS`, `avseg models`), from the cache. */
  readonly model?: string | undefined;
  /**
   * Downloads `model` if it is not in the cache, several hundred megabytes under the licenses that its entry in
   * `PUBLISHED_MODELS` states. Default: false, which refuses.
   */
  readonly download?: boolean | PullModelOptions | undefined;
}

/**
 * Opens a model. Close it when it is no longer needed: it owns a worker thread. Throws `CheckpointError` when a file
 * is missing or damaged, does not fit, or is another encoder than the checkpoint was trained on; `ConfigError` for an
 * unknown name of a model.
 *
 * @example
 * await using model = await openModel({ model: "seavs-s4", download: true });
 * for await (const { timeSeconds, mask } of model.segment("street.mp4")) console.log(timeSeconds, mask.regions);
 */
export async function openModel(options: OpenModelOptions = {}): Promise<Model<string>> {
  const { checkpoint = NATURAL_MODEL.file, model, download, ...open } = options;
  if (model === undefined) return segmentingModel(await openPredictor({ ...open, checkpoint }), segmentVideo);
  if (options.checkpoint !== undefined) {
    throw new ConfigError(`openModel: both a checkpoint (${checkpoint}) and a model (${model}) are given`, {
      hint: "Give one of the two.",
    });
  }
  const pull = typeof download === "object" ? download : {};
  const { signal } = open;
  if (download && (await missingFiles(model, pull)).length > 0) await pullModel(model, { signal, ...pull });
  const { encoders, hints, ...published } = await publishedModelOptions(model, pull);
  const predictor = await openPredictor({
    ...{ ...open, ...published },
    hints: { ...hints, ...open.hints },
    encoders: { ...encoders, ...open.encoders },
  });
  return segmentingModel(predictor, segmentVideo);
}
