/** From a checkpoint on disk to a predictor, in Node. */
import { nodeRuntime } from "../../runtime/node/node-runtime.js";
import type { RuntimeOptions } from "../../runtime/runtime.js";
import { type StateDict, type TensorOf, unshared } from "../../tensor.js";
import { createPredictor } from "../create-predictor.js";
import { type LoadedModel, type LoadModelOptions, loadModelFrom } from "../load-model.js";
import type { LoadedPredictor } from "../predictor.js";
import { readWeightFile } from "./assemble-weights.js";
import { AudioEmbedder } from "./audio-embedder.js";
import type { EmbeddingCache } from "./embedding-cache.js";

export type { EncoderFiles, LoadedModel, LoadModelOptions } from "../load-model.js";

/** Loads a model from files on disk; see `loadModelFrom`. Throws `CheckpointError`. */
export function loadModel(options: LoadModelOptions): Promise<LoadedModel> {
  return loadModelFrom(options, readWeightFile);
}

/** Options of `loadPredictor`. */
export interface LoadPredictorOptions extends LoadModelOptions {
  readonly runtime?: RuntimeOptions | undefined;
  /** Audio embeddings of earlier runs, to be used and added to. */
  readonly embeddings?: EmbeddingCache | undefined;
}

/** Loads a model and makes a predictor with a runtime of its own; see `loadModel`. */
export async function loadPredictor(options: LoadPredictorOptions): Promise<LoadedPredictor> {
  const { embeddings } = options;
  const { model, weights, files } = await loadModel(options);
  const runtime = nodeRuntime(options.runtime);
  // The first session uses the weights up; a later one, for another batch size, reads them again.
  let loaded: StateDict | undefined = embeddings ? unshared(weights) : weights;
  const nextWeights = async (): Promise<StateDict> => {
    const next = loaded ?? (await loadModel(options)).weights;
    loaded = undefined;
    return next;
  };
  const withEmbeddings = async (cache: EmbeddingCache) => {
    const embedder = new AudioEmbedder({
      model,
      runtime,
      cache,
      withWeights: async (use) => use((await loadModel(options)).weights),
    });
    if (loaded) await embedder.open(loaded);
    return { embed: (logMel: TensorOf<"f32">) => embedder.embed(logMel) };
  };
  try {
    const audio = embeddings && (await withEmbeddings(embeddings));
    const predictor = createPredictor({ model, weights: nextWeights, runtime, ...audio });
    return { ...predictor, description: model.config, files, close: () => runtime.close() };
  } catch (error) {
    await runtime.close();
    throw error;
  }
}
