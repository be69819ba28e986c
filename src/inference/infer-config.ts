/** From the keys and shapes of a published checkpoint to the model that it belongs to. */
import { CheckpointError } from "../errors.js";
import type { InferenceHints } from "../models/base-config.js";
import { type AvsModelConfig, modelConfigProblem } from "../models/model-config.js";
import type { StateDictShapes } from "../models/state-dict-shapes.js";
import { systemOf, systems } from "../models/systems.js";
import type { Shape } from "../tensor.js";
import { closestLayoutNote } from "../weights/key-layouts.js";

/**
 * The model of a whole state dict with published keys. What leaves no trace in shapes is assumed as published.
 * @throws `CheckpointError` naming `file` when a part is missing or the system is unknown.
 */
export function inferModelConfig(
  tensors: ReadonlyMap<string, Shape>,
  file: string,
  hints: InferenceHints = {},
): AvsModelConfig {
  // A file of none of the systems is read as one of this library's own, whose missing keys the error names.
  const { infer } = systems.find(({ keys }) => tensors.has(keys.anchor)) ?? systemOf("seavs");
  const config: AvsModelConfig = infer(shapesOf(tensors, file), hints);
  const problem = modelConfigProblem(config);
  if (problem === undefined) return config;
  throw new CheckpointError(
    `${file}: an unknown kind of model: ${problem.path.join(".")}: ${problem.message}`,
    {
      hint: "Pass its configuration with `config` (--config on the command line).",
    },
  );
}

function shapesOf(tensors: ReadonlyMap<string, Shape>, file: string): StateDictShapes {
  return {
    file,
    has: (key) => tensors.has(key),
    shape: (key) => tensors.get(key),
    size(key, axis = 0) {
      const d = tensors.get(key)?.[axis];
      if (d !== undefined) return d;
      throw new CheckpointError(
        `${file}: not a whole model: "${key}" is missing${closestLayoutNote(tensors.keys())}`,
        {
          hint: "Give a checkpoint of the whole model; encoders alone go under `model.visual.weights` or `model.audio.weights`.",
        },
      );
    },
  };
}
