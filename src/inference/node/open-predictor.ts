/** From a model file on disk to a predictor, in Node. */
import { nodeRuntime } from "../../runtime/node/node-runtime.js";
import type { RuntimeOptions } from "../../runtime/runtime.js";
import { type OpenPredictorOptions as OpenOptions, openPredictor as openOn } from "../open-predictor.js";
import type { LoadedPredictor } from "../predictor.js";
import { AudioEmbedder } from "./audio-embedder.js";
import type { EmbeddingCache } from "./embedding-cache.js";
import { diskFiles } from "./model-files.js";

/** Which model to open and how to run it. */
export interface OpenPredictorOptions extends OpenOptions {
  readonly runtime?: RuntimeOptions | undefined;
  /** Audio embeddings of earlier runs, to be used and added to. An exported model does not use them. */
  readonly embeddings?: EmbeddingCache | undefined;
}

/** Opens a model file with a runtime of its own; see `openPredictor` in `inference/open-predictor.ts`. */
export async function openPredictor(options: OpenPredictorOptions): Promise<LoadedPredictor> {
  const { embeddings } = options;
  return openOn(options, {
    files: diskFiles,
    startRuntime: () => nodeRuntime(options.runtime),
    embedder:
      embeddings &&
      (async (parts) => {
        const embedder = new AudioEmbedder({ ...parts, cache: embeddings });
        await embedder.open();
        return (logMel) => embedder.embed(logMel);
      }),
  });
}
