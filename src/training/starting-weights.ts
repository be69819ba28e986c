/** The weights that a training run begins with. */
import type { Config } from "../config/schema.js";
import { completedEncoders, readModelCheckpoint } from "../inference/model-checkpoint.js";
import { diskFiles } from "../inference/node/model-files.js";
import { gatherWeights, type WeightSources } from "../inference/weight-sources.js";
import { type AvsModel, partOf } from "../models/avs-model.js";
import { systemOf } from "../models/systems.js";
import type { StateDict } from "../tensor.js";
import type { WeightFile } from "../weights/checkpoint.js";

/**
 * Gathers them: encoders, then what `training.init` has, then the seed. A head for another number of classes is not
 * used. `frozen` names the files that a checkpoint of the run will stand on. Throws `CheckpointError` when a file is
 * missing, damaged or does not fit.
 */
export async function startingWeights(
  model: AvsModel,
  { model: { visual, audio }, training: { init, seed } }: Pick<Config, "model" | "training">,
): Promise<{ weights: StateDict; frozen: Readonly<Record<string, WeightFile>> }> {
  const named = { visual: visual.weights, audio: audio.weights, pca: audio.pca };
  const gather = (sources: WeightSources) => gatherWeights(model, { sources, seed, modelFiles: diskFiles });
  if (init === null) {
    const { weights, files } = await gather(named);
    return { weights, frozen: files };
  }
  const file = await diskFiles.locate(init);
  const { header, parameters } = await readModelCheckpoint(file, diskFiles);
  const { classifiers } = systemOf(model.config.kind).keys;
  const isClassifier = (key: string) => classifiers.some((prefix) => key.startsWith(`${prefix}.`));
  const shapes = new Map(model.specs.map(({ key, shape }) => [key, shape.join()]));
  const tensors = new Map(
    [...parameters].filter(([key, { shape }]) => !isClassifier(key) || shapes.get(key) === shape.join()),
  );
  // A checkpoint of ours stands on encoders, which the configuration need not name again.
  const { weights, files } = await gather({
    ...completedEncoders(named, header?.frozen),
    checkpoint: { file: init, tensors },
  });
  const frozen: Record<string, WeightFile> = { ...files };
  const sha256 = await diskFiles.sha256(file);
  for (const part of ["visual_encoder", "audio_encoder"]) {
    const own = model.specs.filter(({ key }) => partOf(key, model.encoders) === part);
    if (own.every(({ key }) => tensors.has(key))) frozen[part] = { file: init, sha256 };
  }
  return { weights, frozen };
}
