/** What a model is, in words. */
import path from "node:path";
import type { LoadedPredictor } from "../../inference/predictor.js";

/** What the model in `file` is and, where its file says so, what it was trained on. */
export function describeModel(file: string, { config, trainedOn }: LoadedPredictor): string {
  const kind = `${config.task.toUpperCase()} model, ${config.imageSize}x${config.imageSize}, from ${path.basename(file)}`;
  return trainedOn ? `${kind}, trained on ${trainedOn.data} for ${trainedOn.epochs} epochs` : kind;
}
