/** The audio-visual model as the trainer needs it: its step graph, its feeds, its weights. */

import type { Config } from "../config/schema.js";
import type { Clip } from "../datasets/clip.js";
import { toClipBatch } from "../datasets/clip-batch.js";
import { input } from "../graph/index.js";
import { modelPredictor } from "../inference/model-predictor.js";
import { AudioEmbedder } from "../inference/node/audio-embedder.js";
import type { EmbeddingCache } from "../inference/node/embedding-cache.js";
import { type Predictor, soundFeeds } from "../inference/predictor.js";
import type { SoundInputs } from "../media/sound-inputs.js";
import {
  type AvsModel,
  buildAvsModel,
  countParameters,
  type EncoderPart,
  type ParameterCounts,
  partOf,
} from "../models/avs-model.js";
import { embeddingInput, forwardOf } from "../models/forward.js";
import type { AvsModelConfig } from "../models/model-config.js";
import { Pass, randomFeeds } from "../nn/index.js";
import type { Runtime, Tensors } from "../runtime/runtime.js";
import { f32, type StateDict, sizeOf, type TensorOf } from "../tensor.js";
import { WeightStore } from "../weights/weight-store.js";
import type { ClipStep } from "./batch-step.js";
import { labeledFrames, stepParts } from "./counted-frames.js";
import { plainFlops } from "./flops.js";
import { lossOf } from "./losses.js";
import { startingWeights } from "./starting-weights.js";
import { compileStep } from "./step.js";
import type { TrainableModel } from "./trainer-options.js";

/** A model that trains, with what is worth logging about it. */
export interface AvsTrainingModel extends TrainableModel {
  /** `trained` counts what trains in the last epoch, when everything that is ever unfrozen does. */
  readonly parameterCounts: ParameterCounts & { readonly trained: number };
  /** Nominal floating-point operations of one clip's forward pass, in the plain published form. */
  readonly forwardFlops: number;
}

/** Options of `openTrainingModel`. */
export interface TrainingModelOptions {
  readonly config: Config;
  readonly modelConfig: AvsModelConfig;
  readonly runtime: Runtime;
  /** Audio embeddings of earlier runs, to be used and added to while the audio encoder is frozen. */
  readonly embeddings?: EmbeddingCache | undefined;
}

/**
 * Builds the model of a configuration and gathers its weights. Throws `CheckpointError` when a weight file is
 * missing or does not fit.
 */
export async function openTrainingModel(options: TrainingModelOptions): Promise<AvsTrainingModel> {
  const { config, modelConfig } = options;
  const model = buildAvsModel(modelConfig);
  const training = new Pass({ training: true });
  forwardOf(model, { pass: training });
  const statistics = [...training.updates.keys()];
  const trainedKeys = (epoch: number): string[] =>
    model.specs
      .filter(
        ({ key, kind, unused }) =>
          kind === "parameter" && !unused && trains(partOf(key, model.encoders), config, epoch),
      )
      .map(({ key }) => key);
  const everTrained = new Set(trainedKeys(config.training.epochs - 1));
  const isResident = (key: string): boolean => everTrained.has(key) || training.updates.has(key);
  const { weights, frozen } = await startingWeights(model, config);
  const store = new WeightStore({
    load: async () => (await startingWeights(model, config)).weights,
    initial: weights,
    isResident,
  });
  return new OpenedTrainingModel({ ...options, model, store, frozen, trainedKeys, everTrained, statistics });
}

interface Parts extends TrainingModelOptions {
  readonly model: AvsModel;
  readonly store: WeightStore;
  readonly frozen: AvsTrainingModel["frozen"];
  readonly trainedKeys: (epoch: number) => string[];
  readonly everTrained: ReadonlySet<string>;
  readonly statistics: readonly string[];
}

/**
 * Frozen weights are only in memory while a session is opened, which owns them then: half the memory of a large model.
 * They are read again when the next session is opened.
 */
class OpenedTrainingModel implements AvsTrainingModel {
  readonly parameterCounts: AvsTrainingModel["parameterCounts"];
  readonly forwardFlops: number;
  readonly modelConfig: AvsModelConfig;
  readonly weights: StateDict;
  readonly frozen: AvsTrainingModel["frozen"];
  readonly trainedKeys: (epoch: number) => string[];
  readonly statistics: readonly string[];
  readonly #parts: Parts;
  readonly #embedder: AudioEmbedder | undefined;
  /** What a step computes, and the embedder of its sounds. Both may be the model's own. */
  readonly #step: { readonly model: AvsModel; readonly embedder: AudioEmbedder | undefined };

  constructor(parts: Parts) {
    const { config, model, store, runtime, embeddings, everTrained } = parts;
    const short = stepParts(model.config, config.model.audio.train);
    const stepModel = short.config === model.config ? model : buildAvsModel(short.config);
    const trained = model.specs
      .filter(({ key, kind }) => kind === "parameter" && everTrained.has(key))
      .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    this.#parts = parts;
    const embedderOf = (model: AvsModel) =>
      config.model.audio.train ? undefined : new AudioEmbedder({ model, runtime, store, cache: embeddings });
    this.#embedder = embedderOf(model);
    const hearsAll = short.soundSeconds === model.config.frameCount;
    this.#step = { model: stepModel, embedder: hearsAll ? this.#embedder : embedderOf(stepModel) };
    this.parameterCounts = { ...countParameters(model), trained };
    this.forwardFlops = plainFlops(model);
    this.modelConfig = model.config;
    this.weights = store.resident;
    this.frozen = parts.frozen;
    this.trainedKeys = parts.trainedKeys;
    this.statistics = parts.statistics;
  }

  compileStep(clips: number, epoch: number): Promise<ClipStep> {
    const trained = new Set(this.trainedKeys(epoch));
    return this.#openWithFrozenWeights(this.#step.embedder, () =>
      compileClipStep({ ...this.#parts, ...this.#step, clips, trained }),
    );
  }

  predictor(): Promise<Predictor> {
    const { model, store, runtime } = this.#parts;
    const embedder = this.#embedder;
    const embed = embedder && ((sounds: SoundInputs) => embedder.embed(sounds));
    return this.#openWithFrozenWeights(embedder, () => modelPredictor({ model, store, runtime, embed }));
  }

  async #openWithFrozenWeights<T>(embedder: AudioEmbedder | undefined, open: () => Promise<T>): Promise<T> {
    try {
      await embedder?.open();
      return await open();
    } finally {
      this.#parts.store.release();
    }
  }
}

/** Whether parameters of a part train in `epoch`: all but encoders do always, encoders when unfrozen. */
function trains(part: EncoderPart | undefined, { model: { visual, audio } }: Config, epoch: number): boolean {
  switch (part) {
    case "visual_encoder":
      return visual.freezeEpochs >= 0 && epoch >= visual.freezeEpochs;
    case "audio_encoder":
    case "audio_encoder.pproc":
      return audio.train;
    case undefined:
      return true;
  }
}

interface StepOptions extends Pick<Parts, "config" | "model" | "runtime" | "store"> {
  readonly clips: number;
  readonly trained: ReadonlySet<string>;
  readonly embedder: AudioEmbedder | undefined;
}

async function compileClipStep(options: StepOptions): Promise<ClipStep> {
  const { config, model, runtime, store, clips, trained, embedder } = options;
  const { frameCount, imageSize } = model.config;
  const pass = new Pass({ training: true, recompute: config.training.recompute });
  const labeled = labeledFrames(model.config);
  const labels = clips * labeled;
  const outputs = forwardOf(model, {
    clips,
    pass,
    embedding: embedder && embeddingInput(model, clips),
    decodeEvery: frameCount / labeled,
  });
  const target = input("target", [labels, imageSize, imageSize], "u8");
  const fractions = { frames: input("fraction.clips", []), counted: input("fraction.counted", []) };
  const names = config.training.losses.concepts > 0 ? config.model.concepts.names : undefined;
  const concept = names && input("concept", [labels], "i32");
  const truth = { target, counts: input("counts", [labels]), concept, fractions };
  const loss = lossOf(outputs, truth, config.training.losses);
  const step = await compileStep(runtime, store, {
    loss: loss.total,
    reports: loss.parts,
    trainable: [...model.values]
      .filter(([key]) => trained.has(key) && !pass.updates.has(key))
      .map(([, v]) => v),
    updates: pass.updates,
  });
  return {
    run: async ({ clips: group, first, fractions: part }, number) => {
      const batch = toClipBatch(group);
      const feeds: Tensors = {
        frames: batch.frames,
        frameMask: batch.frameMask,
        ...(embedder
          ? { embedding: firstSteps(await embedder.embed(batch), group.length, frameCount) }
          : soundFeeds(model.config, batch)),
        ...labelFeeds(group, labeled, imageSize),
        ...(names && conceptFeeds(group, labeled, names)),
        "fraction.clips": f32([part.clips], []),
        "fraction.counted": f32([part.counted], []),
        ...randomFeeds(pass.sites, { seed: config.training.seed, step: number }, { first, count: clips }),
      };
      return step.run(feeds);
    },
    close: () => step.close(),
  };
}

/** Of the embeddings of `clips` clips, `f32[B*S,D]`, the first `steps` of each: `f32[B*T,D]`. */
function firstSteps(embeddings: TensorOf<"f32">, clips: number, steps: number): TensorOf<"f32"> {
  const { shape, data } = embeddings;
  if (shape[0] === clips * steps) return embeddings;
  const [all, width] = [data.length / clips, shape[1] ?? 0];
  const first = new Float32Array(clips * steps * width);
  for (let i = 0; i < clips; i++)
    first.set(data.subarray(i * all, i * all + steps * width), i * steps * width);
  return { dtype: "f32", shape: [clips * steps, width], data: first };
}

/** Which concept the category of each clip is, for the first `frames` frames of each; -1: none of them. */
function conceptFeeds(clips: readonly Clip[], frames: number, names: readonly string[]): Tensors {
  const data = clips.flatMap(({ category }) => Array.from({ length: frames }, () => names.indexOf(category)));
  return { concept: { dtype: "i32", shape: [data.length], data: Int32Array.from(data) } };
}

/** Ground truth of the first `frames` frames of each clip, and 1 for those that have one. */
function labelFeeds(clips: readonly Clip[], frames: number, imageSize: number): Tensors {
  const pixels = imageSize * imageSize;
  const target = new Uint8Array(clips.length * frames * pixels);
  const counts = new Float32Array(clips.length * frames);
  for (const [i, clip] of clips.entries()) {
    for (const [m, frame] of clip.labeled.entries()) {
      if (frame >= frames) continue;
      const at = i * frames + frame;
      target.set(clip.masks.data.subarray(m * pixels, (m + 1) * pixels), at * pixels);
      counts[at] = 1;
    }
  }
  return {
    target: { dtype: "u8", shape: [counts.length, imageSize, imageSize], data: target },
    counts: { dtype: "f32", shape: [counts.length], data: counts },
  };
}
