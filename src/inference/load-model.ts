/** From a checkpoint, wherever it lies, to a model with its weights. */
import { CheckpointError } from "../errors.js";
import { type AvsModel, buildAvsModel } from "../models/avs-model.js";
import { type AvsModelConfig, modelConfigFromJson, modelDifference } from "../models/model-config.js";
import { sizeOf, type Tensor } from "../tensor.js";
import {
  assembleWeights,
  partOf,
  type WeightFile,
  type WeightReader,
  type WeightSources,
} from "./assemble-weights.js";
import { type InferenceHints, inferModelConfig } from "./infer-config.js";

/** The encoders that the checkpoint leaves out, where they are not where they were when it was trained. */
export type EncoderFiles = Pick<WeightSources, "visual" | "audio" | "pca">;

/** Published encoders have 154 million values at most. */
const mostRandomValues = 2 ** 28;

/** What to load. */
export interface LoadModelOptions {
  /** A checkpoint of `avseg train`, or a published one of the whole state dict (torch or safetensors). */
  readonly checkpoint: string;
  /** The model, where a configuration names it; else it comes from the checkpoint. */
  readonly config?: AvsModelConfig | undefined;
  /** Encoder files to use instead of those that the checkpoint names. */
  readonly encoders?: EncoderFiles | undefined;
  /** What shapes cannot tell about a published checkpoint. */
  readonly hints?: InferenceHints | undefined;
  readonly signal?: AbortSignal | undefined;
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

  const saved = own?.model === undefined ? undefined : modelConfigFromJson(own.model, checkpoint);
  const config = options.config ?? saved ?? inferred(tensors, checkpoint, options.hints);
  if (saved) requireSameModel(config, saved, checkpoint);
  const model = buildAvsModel(config);
  const frozen = frozenFiles(own?.frozen, checkpoint);
  const sources: WeightSources = {
    visual: encoders.visual ?? frozen.visual_encoder?.file ?? null,
    audio: encoders.audio ?? frozen.audio_encoder?.file ?? null,
    pca: encoders.pca ?? frozen["audio_encoder.pproc"]?.file ?? null,
    whole: { file: checkpoint, tensors },
  };
  requireWhole(model, tensors, sources, { file: checkpoint, seeded: own !== undefined });
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

function inferred(
  tensors: ReadonlyMap<string, Tensor>,
  file: string,
  hints: InferenceHints = {},
): AvsModelConfig {
  const shapes = new Map([...tensors].map(([key, { shape }]) => [key, shape]));
  return inferModelConfig(shapes, file, hints);
}

/**
 * Throws `CheckpointError` when a configuration says another model than its file was made of: heads, reductions and
 * their like leave no trace in shapes, so that the weights would fit and mark other pixels.
 */
export function requireSameModel(config: AvsModelConfig, saved: AvsModelConfig, file: string): void {
  const difference = modelDifference(config, saved);
  if (difference === undefined) return;
  const { key, values } = difference;
  throw new CheckpointError(
    `${file}: its model.${key} is ${values[1] ?? "nothing"}, the configuration says ${values[0] ?? "nothing"}`,
    { hint: "Give the configuration that it was trained with." },
  );
}

/**
 * What is missing would silently be random. Only encoders may be elsewhere: in files of their own, or, for a
 * checkpoint of ours that trained over random ones (`seeded`), in the run's seed.
 */
function requireWhole(
  model: AvsModel,
  tensors: ReadonlyMap<string, Tensor>,
  { visual, audio, pca }: WeightSources,
  { file, seeded }: { file: string; seeded: boolean },
): void {
  const sources = { visual_encoder: visual, audio_encoder: audio, "audio_encoder.pproc": pca };
  const absent = model.specs.filter(({ key }) => {
    const part = partOf(key);
    return !tensors.has(key) && !key.endsWith("num_batches_tracked") && !(part && sources[part]);
  });
  const isRandom = ({ key }: { readonly key: string }): boolean => seeded && partOf(key) !== undefined;
  const random = absent.filter(isRandom);
  const values = random.reduce((n, { shape }) => n + sizeOf(shape), 0);
  if (values > mostRandomValues) {
    throw new CheckpointError(
      `${file}: it describes encoders of ${values} random values, expected ${mostRandomValues} at most`,
      { hint: "The file is damaged, or made to fill the memory." },
    );
  }
  const missing = absent.filter((spec) => !isRandom(spec)).map(({ key }) => key);
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
