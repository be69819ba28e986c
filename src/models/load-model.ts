/** From a checkpoint, wherever it lies, to a model with its weights. */
import { CheckpointError } from "../errors.js";
import type { Tensor } from "../tensor.js";
import {
  assembleWeights,
  type WeightFile,
  type WeightReader,
  type WeightSources,
} from "./assemble-weights.js";
import { type AvsModel, buildAvsModel } from "./avs-model.js";
import { type InferenceHints, inferModelConfig } from "./infer-config.js";
import { type AvsModelConfig, modelConfigFromJson } from "./model-config.js";

/** The encoders that the checkpoint leaves out, where they are not where they were when it was trained. */
export type EncoderFiles = Pick<WeightSources, "visual" | "audio" | "pca">;

/** What to load. */
export interface LoadModelOptions {
  /** A checkpoint of `avseg train`, or a published one of the whole state dict (torch or safetensors). */
  readonly checkpoint: string;
  /** The model, where a configuration names it; else it comes from the checkpoint. */
  readonly config?: AvsModelConfig;
  /** Encoder files to use instead of those that the checkpoint names. */
  readonly encoders?: EncoderFiles;
  /** What shapes cannot tell about a published checkpoint. */
  readonly hints?: InferenceHints;
  readonly signal?: AbortSignal;
}

/** A model with its weights. */
export interface LoadedModel {
  readonly model: AvsModel;
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Where its encoders came from, by state-dict prefix; empty where the checkpoint holds all. */
  readonly files: Readonly<Record<string, WeightFile>>;
}

/**
 * Loads a model from what `read` opens. Throws `CheckpointError` when a file is missing or damaged, does not fit the
 * model, or is another encoder than the checkpoint was trained on.
 */
export async function loadModelFrom(options: LoadModelOptions, read: WeightReader): Promise<LoadedModel> {
  const { checkpoint, encoders = {}, signal } = options;
  const { tensors: all, metadata } = await read(checkpoint);
  signal?.throwIfAborted();
  const tensors = new Map([...all].filter(([key]) => !key.startsWith("optimizer:")));
  const own = metadata.format?.startsWith("avseg-") ? metadata : undefined;

  const config = options.config ?? described(own, tensors, checkpoint, options.hints);
  const model = buildAvsModel(config);
  const frozen = frozenFiles(own?.frozen, checkpoint);
  const sources: WeightSources = {
    visual: encoders.visual ?? frozen.visual_encoder?.file ?? null,
    audio: encoders.audio ?? frozen.audio_encoder?.file ?? null,
    pca: encoders.pca ?? frozen["audio_encoder.pproc"]?.file ?? null,
    whole: { file: checkpoint, tensors },
  };
  if (own === undefined) requireWhole(model, tensors, sources, checkpoint);
  const { weights, files } = await assembleWeights(model.specs, sources, seedOf(own?.config), read);
  for (const [part, { file: used, sha256 }] of Object.entries(files)) {
    const trainedOn = frozen[part];
    if (trainedOn === undefined || trainedOn.sha256 === sha256) continue;
    throw new CheckpointError(`${used}: not the ${part} that ${checkpoint} was trained on`, {
      hint: `Find the file with SHA-256 ${trainedOn.sha256} (then called ${trainedOn.file}).`,
    });
  }
  signal?.throwIfAborted();
  return { model, weights, files };
}

type Metadata = Readonly<Record<string, string>>;

function described(
  own: Metadata | undefined,
  tensors: ReadonlyMap<string, Tensor>,
  file: string,
  hints: InferenceHints = {},
): AvsModelConfig {
  if (own?.model !== undefined) return modelConfigFromJson(own.model, file);
  const shapes = new Map([...tensors].map(([key, { shape }]) => [key, shape]));
  return inferModelConfig(shapes, file, hints);
}

/** A published checkpoint holds everything; what is missing would silently be random. */
function requireWhole(
  model: AvsModel,
  tensors: ReadonlyMap<string, Tensor>,
  { visual, audio }: WeightSources,
  file: string,
): void {
  const elsewhere = (key: string) =>
    (visual && key.startsWith("visual_encoder.")) || (audio && key.startsWith("audio_encoder."));
  const missing = model.specs
    .map(({ key }) => key)
    .filter((key) => !tensors.has(key) && !key.endsWith("num_batches_tracked") && !elsewhere(key));
  if (missing.length === 0) return;
  throw new CheckpointError(
    `${file}: ${missing.length} parameters of the model are missing: ${missing.slice(0, 5).join(", ")}`,
    { hint: "Give a checkpoint of the whole model, or the encoder files that complete it." },
  );
}

/** The `frozen` metadata of a checkpoint: files and hashes by state-dict prefix. */
function frozenFiles(json: string | undefined, file: string): Partial<Record<string, WeightFile>> {
  if (json === undefined) return {};
  const entries = Object.entries(parsed(json, `${file}: its list of encoder files`));
  return Object.fromEntries(
    entries.map(([part, value]) => {
      const entry = new Map<string, unknown>(Object.entries(value ?? {}));
      const [name, sha256] = [entry.get("file"), entry.get("sha256")];
      if (typeof name !== "string" || typeof sha256 !== "string") {
        throw new CheckpointError(`${file}: its list of encoder files names no file and hash for ${part}`);
      }
      return [part, { file: name, sha256 }];
    }),
  );
}

/** Seed of the run: encoders without a file start from it. */
function seedOf(config: string | undefined): number {
  if (config === undefined) return 0;
  const training = new Map<string, unknown>(Object.entries(parsed(config, "its configuration"))).get(
    "training",
  );
  const seed = typeof training === "object" && training !== null && "seed" in training ? training.seed : 0;
  return typeof seed === "number" ? seed : 0;
}

function parsed(json: string, what: string): object {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null) return value;
  } catch (cause) {
    throw new CheckpointError(`${what} is not JSON`, { cause, hint: "The file is damaged." });
  }
  throw new CheckpointError(`${what} is not an object`, { hint: "The file is damaged." });
}
