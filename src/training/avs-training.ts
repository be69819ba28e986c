/** The audio-visual model as the trainer needs it: its step graph, its feeds, its weights. */
import type { Config } from "../config/schema.js";
import type { Clip } from "../datasets/clip.js";
import { toClipBatch } from "../evaluation/evaluate.js";
import { input, leafName, reachable } from "../graph/index.js";
import { AudioEmbedder } from "../inference/node/audio-embedder.js";
import type { EmbeddingCache } from "../inference/node/embedding-cache.js";
import {
  type AvsModel,
  buildAvsModel,
  countParameters,
  groupOf,
  isAdapter,
  type ParameterCounts,
} from "../models/avs-model.js";
import { forwardOf } from "../models/forward.js";
import type { AvsModelConfig } from "../models/model-config.js";
import { Pass, randomFeeds } from "../nn/index.js";
import { discard } from "../runtime/discard.js";
import type { Runtime, Tensors } from "../runtime/runtime.js";
import { type StateDict, sizeOf, unshared } from "../tensor.js";
import { countFlops } from "./flops.js";
import { openLivePredictor } from "./live-predictor.js";
import { lossOf } from "./losses.js";
import { startingWeights } from "./starting-weights.js";
import { compileStep } from "./step.js";
import type { ClipStep, TrainableModel } from "./trainer.js";

/** A model that trains, with what is worth logging about it. */
export interface AvsTrainingModel extends TrainableModel {
  /** `trainable` counts what trains in the last epoch, when everything that is ever unfrozen does. */
  readonly parameterCounts: ParameterCounts;
  /** Nominal floating-point operations of one clip's forward pass, in the plain published form. */
  readonly forwardFlops: number;
}

/**
 * Builds the model of a configuration and gathers its weights. Throws `CheckpointError` when a weight file is
 * missing or does not fit.
 */
export async function openTrainingModel(options: {
  readonly config: Config;
  readonly description: AvsModelConfig;
  readonly runtime: Runtime;
  /** Audio embeddings of earlier runs, to be used and added to while the audio encoder is frozen. */
  readonly embeddings?: EmbeddingCache | undefined;
}): Promise<AvsTrainingModel> {
  const { config, description, runtime, embeddings } = options;
  const { audio } = config.model;
  const model = buildAvsModel(description);
  const { weights: starting, frozen } = await startingWeights(model, config);
  const weights = unshared(starting);
  const plain = plainForm(model);
  const training = new Pass({ training: true });
  forwardOf(model, 1, training);
  const statistics = [...training.updates.keys()];
  const trainedKeys = (epoch: number): string[] => [
    ...model.specs
      .filter(({ key, kind }) => kind === "parameter" && plain.used.has(key) && trains(config, key, epoch))
      .map(({ key }) => key),
    ...statistics,
  ];
  const everTrained = new Set(trainedKeys(config.training.epochs - 1));

  const isFrozen = (key: string): boolean => !everTrained.has(key);
  /**
   * Frozen weights are only needed while a session is made, which has its own copies then: in between they
   * are given back, half the memory of a large model, and read again when the next session is made.
   */
  const withFrozen = async <T>(make: () => Promise<T>): Promise<T> => {
    if (model.specs.some(({ key }) => !weights.has(key))) {
      const again = await startingWeights(model, config);
      for (const [key, tensor] of unshared(again.weights)) if (isFrozen(key)) weights.set(key, tensor);
    }
    try {
      return await make();
    } finally {
      const released = [...weights].filter(([key]) => isFrozen(key));
      for (const [key] of released) weights.delete(key);
      discard(released.map(([, { data }]) => data.buffer));
    }
  };

  const embedder = audio.train
    ? undefined
    : new AudioEmbedder({
        model,
        runtime,
        cache: embeddings,
        withWeights: (use) => withFrozen(() => use(weights)),
      });

  const trainable = model.specs
    .filter(({ key, kind }) => kind === "parameter" && everTrained.has(key))
    .reduce((sum, { shape }) => sum + sizeOf(shape), 0);

  return {
    description,
    weights,
    frozen,
    trainedKeys,
    parameterCounts: { ...countParameters(model), trainable },
    forwardFlops: plain.flops,
    compileStep: (clips, epoch) =>
      withFrozen(async () => {
        await embedder?.open(weights);
        const trained = new Set(trainedKeys(epoch));
        // What trains in a later epoch is frozen into this step's session, but must stay.
        const giveWeights = trained.size === everTrained.size;
        return compileClipStep({ config, model, runtime, weights, giveWeights, clips, trained, embedder });
      }),
    predictor: () =>
      withFrozen(async () => {
        await embedder?.open(weights);
        return openLivePredictor(model, runtime, weights, everTrained, embedder);
      }),
  };
}

/** Whether a parameter trains in `epoch`: Messenger Blocks, decoder and adapters always, encoders when unfrozen. */
function trains(config: Config, key: string, epoch: number): boolean {
  const { visual, audio } = config.model;
  switch (groupOf(key)) {
    case "visual_encoder":
      return isAdapter(key) || (visual.freezeEpochs >= 0 && epoch >= visual.freezeEpochs);
    case "audio_encoder":
      return audio.train;
    default:
      return true;
  }
}

/**
 * What the published formulas use, before any rewrite: a parameter that they use but that no gradient reaches
 * (queries and keys over a single key) still decays, one that they never use (a spare ResNet branch) does not.
 */
function plainForm(model: AvsModel): { used: ReadonlySet<string>; flops: number } {
  const logits = forwardOf(model, 1, new Pass({ rewrites: false }));
  const nodes = reachable([logits]);
  const leaves = nodes.filter((node) => node.op === "parameter").flatMap((node) => node.outputs);
  return { used: new Set(leaves.map(leafName)), flops: countFlops(nodes) };
}

interface StepOptions {
  readonly config: Config;
  readonly model: AvsModel;
  readonly runtime: Runtime;
  readonly weights: StateDict;
  readonly giveWeights: boolean;
  readonly clips: number;
  readonly trained: ReadonlySet<string>;
  readonly embedder: AudioEmbedder | undefined;
}

async function compileClipStep(options: StepOptions): Promise<ClipStep> {
  const { config, model, runtime, weights, giveWeights, clips, trained, embedder } = options;
  const { task, frameCount, imageSize } = model.config;
  const pass = new Pass({ training: true });
  // S4 has, and the published loss takes, the first frame of each clip.
  const labelled = task === "s4" ? 1 : frameCount;
  const labels = clips * labelled;
  const logits = forwardOf(model, clips, pass, {
    embedded: embedder !== undefined,
    decodeEvery: frameCount / labelled,
  });
  const target = input("target", [labels, imageSize, imageSize], "u8");
  const loss = lossOf(logits, target, input("counts", [labels]), config.training.losses);
  const step = await compileStep(
    runtime,
    {
      loss: loss.total,
      reports: loss.parts,
      trainable: [...model.values]
        .filter(([key]) => trained.has(key) && !pass.updates.has(key))
        .map(([, v]) => v),
      updates: pass.updates,
    },
    weights,
    { giveWeights },
  );
  return {
    async run(group, key, optimizer, learningRate) {
      const batch = toClipBatch(group);
      const feeds: Tensors = {
        frames: batch.frames,
        keep: batch.keep,
        ...(embedder ? { embedding: await embedder.embed(batch.logMel) } : { logMel: batch.logMel }),
        ...labelFeeds(group, labelled, imageSize),
        ...randomFeeds(pass.sites, { seed: config.training.seed, step: key }),
      };
      return step.run(feeds, optimizer, learningRate);
    },
    close: () => step.close(),
  };
}

/** Ground truth of the first `frames` frames of each clip, and 1 for those that have one. */
function labelFeeds(clips: readonly Clip[], frames: number, imageSize: number): Tensors {
  const pixels = imageSize * imageSize;
  const target = new Uint8Array(clips.length * frames * pixels);
  const counts = new Float32Array(clips.length * frames);
  for (const [i, clip] of clips.entries()) {
    for (const [m, frame] of clip.labelled.entries()) {
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
