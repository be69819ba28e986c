/** What a model is, in words. */
import path from "node:path";
import type { LoadedPredictor } from "../../inference/predictor.js";
import { DEMO_MODEL, NATURAL_MODEL } from "./shipped-models.js";

/** What the model in `file` is: as its package describes it, or what its file says, also of what it was trained on. */
export function describeModel(file: string, { config, trainedOn }: LoadedPredictor): string {
  const shipped = [NATURAL_MODEL, DEMO_MODEL].find((model) => model.file === path.resolve(file));
  if (shipped) return shipped.description;
  const kind = `${config.task.toUpperCase()} model, ${config.imageSize}x${config.imageSize}, from ${path.basename(file)}`;
  return trainedOn ? `${kind}, trained on ${trainedOn.data} for ${trainedOn.epochs} epochs` : kind;
}
