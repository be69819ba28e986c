/** From the keys and shapes of a published checkpoint to the model that it belongs to. */
import { CheckpointError } from "../errors.js";
import {
  type AvsModelConfig,
  binaryClasses,
  modelConfigProblem,
  publishedModel,
} from "../models/model-config.js";
import type { StateDictShapes } from "../models/state-dict-shapes.js";
import { inferVggish } from "../models/vggish.js";
import { inferVisual } from "../models/visual-encoder.js";
import type { Shape } from "../tensor.js";
import { closestLayoutNote } from "../weights/key-layouts.js";

/** What the shapes of a checkpoint do not reveal. */
export interface InferenceHints {
  /** Which binary task. Default: `s4`. More than one logit means `avss`. */
  readonly task?: AvsModelConfig["task"] | undefined;
  /** Names of the classes, as many as there are logits. */
  readonly classes?: readonly string[] | undefined;
  readonly frameCount?: number | undefined;
  readonly imageSize?: number | undefined;
}

/**
 * The model of a whole state dict with published keys. Head counts, reductions of the decoder, frame count and
 * image size leave no trace in shapes: the published ones are assumed.
 * @throws `CheckpointError` naming `file` when a part is missing or the family is unknown.
 */
export function inferModelConfig(
  tensors: ReadonlyMap<string, Shape>,
  file: string,
  { task, classes, frameCount, imageSize }: InferenceHints = {},
): AvsModelConfig {
  const shapes = shapesOf(tensors, file);
  const logits = shapes.size("decoder.mask_features.weight");
  const names =
    classes ?? (logits > 1 ? Array.from({ length: logits }, (_, i) => `class ${i}`) : binaryClasses);
  if (names.length !== logits) {
    throw new CheckpointError(`${file}: it has ${logits} logits, but ${names.length} classes are named`, {
      hint: "Give the class names that the checkpoint was trained with.",
    });
  }
  const queries = "bridger.Fusers.0.intermediate_queries.weight";
  const visual = inferVisual(shapes);
  if (visual === undefined) {
    throw new CheckpointError(`${file}: not a whole model: its visual encoder is missing or unknown`, {
      hint: "Give a checkpoint of the whole model; encoders alone go under `model.visual.weights` or `model.audio.weights`.",
    });
  }
  const base = publishedModel({ task: logits > 1 ? "avss" : (task ?? "s4"), visual, classes: names });
  const config: AvsModelConfig = {
    ...base,
    frameCount: frameCount ?? base.frameCount,
    imageSize: imageSize ?? base.imageSize,
    audio: inferVggish(shapes),
    messenger: { ...base.messenger, queries: shapes.size(queries), width: shapes.size(queries, 1) },
    decoder: {
      ...base.decoder,
      project: shapes.has("decoder.audio_proj_1.weight"),
      channel: shapes.has("decoder.fusion_block_0.channel_attn.atten.in_proj_weight"),
      convDim: shapes.size("decoder.layer_1.weight"),
    },
  };
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
