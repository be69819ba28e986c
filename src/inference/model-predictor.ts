/** A model with its weights as a predictor. */
import { type EmitTarget, emitOnnx, type OnnxGraph } from "../graph/index.js";
import type { AvsModel } from "../models/avs-model.js";
import { embeddingInput, forwardOf } from "../models/forward.js";
import { Pass } from "../nn/index.js";
import type { Runtime } from "../runtime/runtime.js";
import { sizeOf } from "../tensor.js";
import type { WeightStore } from "../weights/weight-store.js";
import type { KeepOptions, Predictor } from "./predictor.js";
import { type Embed, sessionPredictor } from "./session-predictor.js";

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
  const session = await runtime.createSession({ graph, weights, name: "model", keepIn });
  return sessionPredictor({ session, inputs: graph.inputs, config: model.config, clipsPerRun, embed, live });
}
