/** The weights that a training run begins with. */
import type { Config } from "../config/schema.js";
import { assembleWeights, findWeightFile } from "../inference/node/assemble-weights.js";
import { type AvsModel, isAdapter } from "../models/avs-model.js";
import type { StateDict } from "../tensor.js";
import { hashFile } from "../weights/hub/cache.js";
import { loadStateDict } from "../weights/node/load.js";
import { type FrozenSource, isCheckpoint, unpackCheckpoint } from "./checkpoint.js";

/**
 * Gathers them: encoders, then what `training.init` has, then the seed. A head for another
 * number of classes is not taken over. `frozen` names the files that a checkpoint of the run will stand on.
 * Throws `CheckpointError` when a file is missing, damaged or does not fit.
 */
export async function startingWeights(
  model: AvsModel,
  { model: { visual, audio }, training: { init, seed } }: Pick<Config, "model" | "training">,
): Promise<{ weights: StateDict; frozen: Readonly<Record<string, FrozenSource>> }> {
  const named = { visual: visual.weights, audio: audio.weights, pca: audio.pca };
  if (init === null) {
    const { weights, files } = await assembleWeights(model.specs, named, seed);
    return { weights, frozen: files };
  }
  const file = await findWeightFile(init);
  const { tensors: all, metadata } = await loadStateDict(file);
  const shapes = new Map(model.specs.map(({ key, shape }) => [key, shape.join()]));
  const tensors = new Map(
    [...all].filter(([key, { shape }]) => {
      const otherHead = key.startsWith("decoder.mask_features.") && shapes.get(key) !== shape.join();
      return !key.startsWith("optimizer:") && !otherHead;
    }),
  );
  // A checkpoint of ours stands on encoders, which the configuration need not name again.
  const inherited = isCheckpoint(metadata) ? unpackCheckpoint(new Map(), metadata, file).frozen : {};
  const sources = {
    visual: named.visual ?? inherited.visual_encoder?.file ?? null,
    audio: named.audio ?? inherited.audio_encoder?.file ?? null,
    pca: named.pca ?? inherited["audio_encoder.pproc"]?.file ?? null,
    whole: { file, tensors },
  };
  const { weights, files } = await assembleWeights(model.specs, sources, seed);
  const frozen: Record<string, FrozenSource> = { ...files };
  const sha256 = await hashFile(file);
  for (const part of ["visual_encoder", "audio_encoder"]) {
    const own = model.specs.filter(({ key }) => key.startsWith(`${part}.`) && !isAdapter(key));
    if (own.every(({ key }) => tensors.has(key))) frozen[part] = { file: init, sha256 };
  }
  return { weights, frozen };
}
