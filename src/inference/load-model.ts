/** From a checkpoint, wherever it lies, to a model with its weights. */
import { CheckpointError } from "../errors.js";
import { type AvsModel, buildAvsModel, partOf } from "../models/avs-model.js";
import type { InferenceHints } from "../models/base-config.js";
import { type AvsModelConfig, modelDifference } from "../models/model-config.js";
import { soundFormOf, systems } from "../models/systems.js";
import { type StateDict, sizeOf } from "../tensor.js";
import {
  type CheckpointHeader,
  type RunSummary,
  summarizeRun,
  type WeightFile,
} from "../weights/checkpoint.js";
import { closestLayoutNote } from "../weights/key-layouts.js";
import { WeightStore } from "../weights/weight-store.js";
import { inferModelConfig } from "./infer-config.js";
import { completedEncoders, readModelCheckpoint } from "./model-checkpoint.js";
import type { TrainingOrigin } from "./predictor.js";
import { type EncoderFiles, gatherWeights, type ModelFiles, type WeightSources } from "./weight-sources.js";

/** Published encoders have 154 million values at most. */
const maxRandomValues = 2 ** 28;

/** What to load. */
export interface LoadModelOptions {
  /** The located file: a checkpoint of `avseg train`, or a published one of the whole state dict (torch or safetensors). */
  readonly checkpoint: string;
  /** The model, where a configuration names it. Default: what the checkpoint says or its shapes reveal. */
  readonly config?: AvsModelConfig | undefined;
  /** Encoder files to use instead of those that the checkpoint names. */
  readonly encoders?: EncoderFiles | undefined;
  /** What the shapes of a published checkpoint do not reveal. */
  readonly hints?: InferenceHints | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A model with its weights. */
export interface LoadedModel {
  readonly model: AvsModel;
  readonly store: WeightStore;
  /** Where its encoders came from, by state-dict prefix; empty where the checkpoint holds everything. */
  readonly files: Readonly<Record<string, WeightFile>>;
  /** What the model was trained on, where the checkpoint says so. */
  readonly trainedOn?: TrainingOrigin | undefined;
}

/**
 * Loads a model. Throws `CheckpointError` when a file is missing or damaged, does not fit the model, or is another
 * encoder than the checkpoint was trained on.
 */
export async function loadModel(options: LoadModelOptions, modelFiles: ModelFiles): Promise<LoadedModel> {
  const first = await readModel(options, modelFiles);
  const load = async () => (await readModel(options, modelFiles)).weights;
  const store = new WeightStore({ load, initial: first.weights });
  return { model: first.model, store, files: first.files, trainedOn: first.trainedOn };
}

interface ReadModel extends Omit<LoadedModel, "store"> {
  readonly weights: StateDict;
}

async function readModel(
  { checkpoint, config: given, encoders = {}, hints, signal }: LoadModelOptions,
  modelFiles: ModelFiles,
): Promise<ReadModel> {
  const { header, saved, parameters: tensors } = await readModelCheckpoint(checkpoint, modelFiles);
  signal?.throwIfAborted();
  const config = given ?? saved ?? (await inferred(tensors, { file: checkpoint, hints, modelFiles }));
  if (saved) requireSameModel(config, saved, checkpoint);
  const model = buildAvsModel(config);
  const frozen = header?.frozen ?? {};
  const sources: WeightSources = {
    ...completedEncoders(encoders, frozen),
    checkpoint: { file: checkpoint, tensors },
  };
  requireComplete(model, { file: checkpoint, tensors, encoders: sources, seeded: saved !== undefined });
  const run = header && summarizeRun(header);
  const seed = run?.training.seed ?? 0;
  const { weights, files } = await gatherWeights(model, { sources, seed, modelFiles });
  for (const [part, { file: used, sha256 }] of Object.entries(files)) {
    const trainedOn = frozen[part];
    if (trainedOn === undefined || trainedOn.sha256 === sha256) continue;
    throw new CheckpointError(`${used}: not the ${part} that ${checkpoint} was trained on`, {
      hint: `Find the file with SHA-256 ${trainedOn.sha256} (then called ${trainedOn.file}).`,
    });
  }
  signal?.throwIfAborted();
  return { model, weights, files, trainedOn: header && run && originOf(header, run) };
}

function originOf({ progress }: CheckpointHeader, run: RunSummary): TrainingOrigin {
  return {
    task: run.task,
    data: run.data.root.split(/[/\\]/).filter(Boolean).at(-1) ?? "",
    description: run.description === "" ? undefined : run.description,
    epochs: progress.history.length,
    best: progress.best ?? undefined,
  };
}

/** What the settings file beside a published checkpoint says, where its system has one and it is there. */
async function settingsOf(
  tensors: StateDict,
  checkpoint: string,
  modelFiles: ModelFiles,
): Promise<InferenceHints["settings"]> {
  const name = systems.find(({ keys }) => tensors.has(keys.anchor))?.settingsFile;
  const bytes = name && (await modelFiles.bytesBeside(name, checkpoint).catch(() => undefined));
  if (!bytes) return undefined;
  const settings = parsed(new TextDecoder().decode(bytes));
  if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) return { ...settings };
  throw new CheckpointError(`${checkpoint}: ${name} beside it is not a JSON object`, {
    hint: `Download ${name} again, or remove it to use the published settings.`,
  });
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

async function inferred(
  tensors: StateDict,
  {
    file,
    hints,
    modelFiles,
  }: { readonly file: string; readonly hints?: InferenceHints | undefined; readonly modelFiles: ModelFiles },
): Promise<AvsModelConfig> {
  const shapes = new Map([...tensors].map(([key, { shape }]) => [key, shape]));
  const settings = await settingsOf(tensors, file, modelFiles);
  return inferModelConfig(shapes, file, { ...hints, settings });
}

/**
 * Throws `CheckpointError` when a configuration describes another model than its file was made of: heads, reductions
 * and the like leave no trace in shapes, so the weights would fit and mark other pixels.
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
 * A missing parameter would be initialized at random without a warning. Only encoders may be elsewhere: in files of
 * their own, or, for a checkpoint of ours that trained over random ones (`seeded`), in the run's seed.
 */
function requireComplete(
  model: AvsModel,
  {
    file,
    tensors,
    encoders: { visual, audio, pca },
    seeded,
  }: {
    readonly file: string;
    readonly tensors: StateDict;
    readonly encoders: EncoderFiles;
    readonly seeded: boolean;
  },
): void {
  const sources = { visual_encoder: visual, audio_encoder: audio, "audio_encoder.pproc": pca };
  const absent = model.specs.filter(({ key, unused }) => {
    const part = partOf(key, model.encoders);
    const needed = !unused && !key.endsWith("num_batches_tracked");
    return needed && !tensors.has(key) && !(part && sources[part]);
  });
  const isRandom = ({ key }: { readonly key: string }): boolean =>
    seeded && partOf(key, model.encoders) !== undefined;
  const values = absent.filter(isRandom).reduce((n, { shape }) => n + sizeOf(shape), 0);
  if (values > maxRandomValues) {
    throw new CheckpointError(
      `${file}: it describes encoders of ${values} random values, expected ${maxRandomValues} at most`,
      { hint: "The file is damaged, or made to fill the memory." },
    );
  }
  const missing = absent.filter((spec) => !isRandom(spec)).map(({ key }) => key);
  if (missing.length === 0) return;
  const isVggish = soundFormOf(model.config) === "log-mel";
  if (isVggish && missing.every((key) => partOf(key, model.encoders) === "audio_encoder")) {
    throw new CheckpointError(`${file}: it has no audio encoder`, {
      hint: "Get VGGish with `avseg weights pull vggish` and give its file with --audio-encoder (`encoders.audio` in code).",
    });
  }
  throw new CheckpointError(
    `${file}: ${missing.length} parameters of the model are missing: ${missing.slice(0, 5).join(", ")}${closestLayoutNote(tensors.keys())}`,
    { hint: "Give a checkpoint of the whole model, or the encoder files that complete it." },
  );
}
