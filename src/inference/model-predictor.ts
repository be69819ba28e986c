/** A model with its weights as a predictor. */
import { type EmitTarget, emitOnnx, type OnnxGraph } from "../graph/index.js";
import type { AvsModel } from "../models/avs-model.js";
import { embeddingInput, forwardOf } from "../models/forward.js";
import { maskSizeOf } from "../models/model-config.js";
import { soundFormOf } from "../models/systems.js";
import { Pass } from "../nn/index.js";
import type { Runtime, Session, Tensors } from "../runtime/runtime.js";
import { sizeOf, type TensorOf } from "../tensor.js";
import type { WeightStore } from "../weights/weight-store.js";
import { batchedPredictor, type KeepOptions, type Predictor, type Sounds, soundFeeds } from "./predictor.js";

/** Variants of the inference graph. */
export interface InferenceGraphOptions {
  /** Operators that the graph may use. Default: those of the ONNX standard. */
  readonly target?: EmitTarget | undefined;
  /** The audio comes as embeddings instead of log-mels. */
  readonly embedded?: boolean | undefined;
  /** Parameters that are inputs of every run, because they still train. Default: none. */
  readonly asInputs?: ReadonlySet<string> | undefined;
}

/** The inference graph for `clips` clips: the inputs of `forwardOf`, and the output `logits` `f32[B*T,K,H,W]`. */
export function inferenceGraph(
  model: AvsModel,
  clips: number,
  { embedded = false, ...options }: InferenceGraphOptions = {},
): OnnxGraph {
  const embedding = embedded ? embeddingInput(model, clips) : undefined;
  const { logits } = forwardOf(model, { clips, pass: new Pass(), embedding });
  return emitOnnx({ logits }, options);
}

/** Options of `modelPredictor`. */
export interface ModelPredictorOptions {
  readonly model: AvsModel;
  readonly store: WeightStore;
  /** Stays the caller's to close. */
  readonly runtime: Runtime;
  /** Clips per run of the session. Default: 1, which is fastest on processors. */
  readonly clipsPerRun?: number | undefined;
  /** The sound of a batch -> `f32[B*T,D]`; without it the audio encoder is part of the session. */
  readonly embed?: Embed | undefined;
  /** Writes the optimized model. Default: nothing is written. */
  readonly keep?: KeepOptions | undefined;
}

/** An audio encoder that runs apart: the sound of a batch -> `f32[B*T,D]`. */
export type Embed = (sounds: Sounds) => Promise<TensorOf<"f32">>;

/**
 * Opens a session of `clipsPerRun` clips and makes a predictor of it. Weights are taken from the store; those that are
 * resident there (they train) are fed at every run, so that the predictor always computes with their present values.
 */
export async function modelPredictor({
  model,
  store,
  runtime,
  clipsPerRun = 1,
  embed,
  keep,
}: ModelPredictorOptions): Promise<Predictor> {
  const live = store.resident;
  const graph = inferenceGraph(model, clipsPerRun, {
    target: runtime.supports,
    embedded: embed !== undefined,
    asInputs: new Set(live.keys()),
  });
  const weights = await store.take(graph.parameters.map(({ name }) => name));
  const values = graph.parameters.reduce((n, { shape }) => n + sizeOf(shape), 0);
  const keepIn = keep && 4 * values >= keep.minBytes ? keep.folder : undefined;
  const session: Session = await runtime.createSession({ graph, weights, name: "model", keepIn });
  const soundForm = soundFormOf(model.config);
  const names = graph.inputs.map(({ name }) => name);
  return batchedPredictor({
    config: model.config,
    maskSize: maskSizeOf(model.config),
    soundForm,
    clipsPerRun,
    async run(batch) {
      const { frames, frameMask } = batch;
      const audio = embed ? { embedding: await embed(batch) } : soundFeeds(model.config, batch);
      const trained: Tensors = Object.fromEntries(
        names.flatMap((name) => {
          const tensor = live.get(name);
          return tensor ? [[name, tensor]] : [];
        }),
      );
      return (await session.run({ frames, frameMask, ...audio, ...trained })).logits;
    },
    close: () => session.close(),
  });
}
