/** From a model file on disk to a predictor, in Node. */
import path from "node:path";
import { readOnnx } from "../../graph/onnx/read.js";
import { buildAvsModel } from "../../models/avs-model.js";
import { modelConfigFromJson, modelConfigToJson } from "../../models/model-config.js";
import { hasSharedEncoders } from "../../models/systems.js";
import { sha256Of } from "../../node/sha256.js";
import { nodeRuntime } from "../../runtime/node/node-runtime.js";
import type { NodeProvider, ProviderChoice } from "../../runtime/providers.js";
import type { Runtime, RuntimeOptions } from "../../runtime/runtime.js";
import type { StateDict } from "../../tensor.js";
import { loadStateDict } from "../../weights/node/load.js";
import { WeightStore } from "../../weights/weight-store.js";
import { loadModel } from "../load-model.js";
import { type ModelFacts, modelFacts, type OnKnown } from "../model-facts.js";
import {
  type OpenPredictorOptions as OpenOptions,
  openPredictor as openOn,
  withRuntime,
} from "../open-predictor.js";
import type { KeepOptions, LoadedPredictor } from "../predictor.js";
import { sessionPredictor } from "../session-predictor.js";
import type { ModelFiles } from "../weight-sources.js";
import { AudioEmbedder } from "./audio-embedder.js";
import { stampOf } from "./cached-model.js";
import { chooseProvider, graphicsCandidates } from "./choose-provider.js";
import type { EmbeddingCache } from "./embedding-cache.js";
import { type FoundModel, type ModelCache, modelCache } from "./model-cache.js";
import { diskFiles } from "./model-files.js";
import { processorOf, requestHash, runtimeVersion } from "./model-request.js";
import { traced } from "./traced-files.js";

/** How a model runs. */
export interface PredictorRuntimeOptions extends Omit<RuntimeOptions, "provider"> {
  /**
   * `auto` takes the fastest provider that works here. It measures once per model, and remembers the result in the shared
   * cache folder. Default: `cpu`.
   */
  readonly provider?: ProviderChoice | undefined;
}

/** Which model to open and how to run it. */
export interface OpenPredictorOptions extends OpenOptions {
  readonly runtime?: PredictorRuntimeOptions | undefined;
  /** Audio embeddings of earlier runs, to be used and added to. An exported model does not use them. */
  readonly embeddings?: EmbeddingCache | undefined;
  /**
   * Opened models of earlier runs, to be used and added to, on processors only; `false` uses none. Default: the one in
   * the shared cache folder, as `AVSEG_MODEL_CACHE` says.
   */
  readonly cache?: ModelCache | false | undefined;
}

/** Opens a model file with a runtime of its own; see `openPredictor` in `inference/open-predictor.ts`. */
export async function openPredictor(options: OpenPredictorOptions): Promise<LoadedPredictor> {
  const { provider = "cpu" } = options.runtime ?? {};
  const chosen = provider === "auto" ? await fastestProvider(options) : provider;
  return openOnProvider({ ...options, runtime: { ...options.runtime, provider: chosen } });
}

/** Options whose provider is known. */
type ProviderOptions = Omit<OpenPredictorOptions, "runtime"> & {
  readonly runtime: RuntimeOptions & { readonly provider: NodeProvider };
};

/** The fastest provider for a model: see `chooseProvider`. */
async function fastestProvider(options: OpenPredictorOptions): Promise<NodeProvider> {
  const checkpoint = await diskFiles.locate(options.checkpoint);
  const request = await requestHash({ ...options, provider: "auto", embedded: false });
  const stamp = await stampOf(checkpoint);
  const open = (provider: NodeProvider) =>
    openOnProvider({
      ...options,
      ...{ onKnown: undefined, embeddings: undefined, cache: provider === "cpu" ? options.cache : false },
      runtime: { ...options.runtime, provider },
    });
  return chooseProvider({
    cpu: { open: () => open("cpu") },
    candidates: graphicsCandidates(open),
    model: sha256Of(JSON.stringify([request, path.resolve(checkpoint), stamp])),
    signal: options.signal,
  });
}

async function openOnProvider(options: ProviderOptions): Promise<LoadedPredictor> {
  const runtime = startRuntime(options); // its thread loads ONNX Runtime while files are read
  try {
    return await openOnRuntime(options, runtime);
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

async function openOnRuntime(options: ProviderOptions, runtime: Runtime): Promise<LoadedPredictor> {
  const { provider } = options.runtime;
  const cache = options.cache === false || provider !== "cpu" ? undefined : (options.cache ?? modelCache());
  if (cache === undefined) return (await openFiles(options, { files: mappedFiles, runtime })).predictor;
  const checkpoint = await diskFiles.locate(options.checkpoint);
  const embedded = options.embeddings !== undefined;
  let hash: Promise<string> | undefined;
  const request = () => {
    hash ??= requestHash({ ...options, provider, embedded });
    return hash;
  };
  const found = await cache.find(request, checkpoint);
  if (found === undefined) return openAndKeep(options, { cache, checkpoint, request, runtime });
  try {
    return await openFound(found, options, runtime);
  } catch {
    options.signal?.throwIfAborted();
    await cache.discard(found.folder);
    return openAndKeep(options, { cache, checkpoint, request, runtime: startRuntime(options) });
  }
}

/** A runtime beside other work: clips are decoded while a model runs. */
const startRuntime = ({ runtime }: ProviderOptions): Runtime => nodeRuntime({ spinning: false, ...runtime });

/** Files whose weights stay where they are, for sessions to map. */
const mappedFiles: ModelFiles = { ...diskFiles, weights: (name) => loadStateDict(name, { inPlace: true }) };

interface Opened {
  readonly predictor: LoadedPredictor;
  readonly embedder: AudioEmbedder | undefined;
}

interface OpenOn {
  readonly files: ModelFiles;
  /** The predictor closes it. */
  readonly runtime: Runtime;
  readonly keep?: KeepOptions | undefined;
}

async function openFiles(options: ProviderOptions, { files, runtime, keep }: OpenOn): Promise<Opened> {
  const { embeddings } = options;
  let embedder: AudioEmbedder | undefined;
  const predictor = await openOn(options, {
    files,
    startRuntime: () => runtime,
    keep,
    embedder:
      embeddings &&
      (async (parts) => {
        const opened = new AudioEmbedder({ ...parts, cache: embeddings });
        await opened.open();
        embedder = opened;
        return (batch) => opened.embed(batch);
      }),
  });
  return { predictor, embedder };
}

interface OpenAndKeep extends Pick<OpenOn, "runtime"> {
  readonly cache: ModelCache;
  readonly checkpoint: string;
  readonly request: () => Promise<string>;
}

/** Opens files, and adds the opened model to the cache once it has run. */
async function openAndKeep(
  options: ProviderOptions,
  { cache, checkpoint, request, runtime }: OpenAndKeep,
): Promise<LoadedPredictor> {
  const { files, sources, absent } = traced(mappedFiles);
  const size = (await stampOf(checkpoint))?.bytes ?? 0;
  const folder = await cache.begin({ warns: size >= cache.minBytes });
  if (folder === undefined) return (await openFiles(options, { files, runtime })).predictor;
  try {
    const { predictor, embedder } = await openFiles(options, {
      ...{ files, runtime },
      keep: { folder, minBytes: cache.minBytes },
    });
    const { config, clipsPerRun, trainedOn } = predictor;
    const facts = {
      ...{ request, sources, absent, clipsPerRun, trainedOn, files: { ...predictor.files } },
      config: modelConfigToJson(config),
      audioEncoder: embedder?.encoder,
      runtime: runtimeVersion,
      provider: "cpu",
      processor: (await processorOf()).name,
    };
    let kept: Promise<void> | undefined;
    return {
      ...predictor,
      async predict(batch) {
        const logits = await predictor.predict(batch);
        kept ??= cache.keep(folder, facts, options.signal);
        return logits;
      },
      async close() {
        await (kept ?? cache.discard(folder));
        await predictor.close();
      },
    };
  } catch (error) {
    await cache.discard(folder);
    throw error;
  }
}

/** All weights of the model that `options` name. */
async function allWeights(options: ProviderOptions): Promise<StateDict> {
  const checkpoint = await diskFiles.locate(options.checkpoint);
  const { model, store } = await loadModel({ ...options, checkpoint }, diskFiles);
  return store.lend(model.specs.map(({ key }) => key));
}

/** Opens what the cache holds. */
async function openFound(
  { folder, record, model: bytes }: FoundModel,
  options: ProviderOptions,
  opened: Runtime,
): Promise<LoadedPredictor> {
  const { clipsPerRun, files, trainedOn } = record;
  const { embeddings, signal, onKnown } = options;
  signal?.throwIfAborted();
  const onnx = readOnnx(bytes, folder);
  const config = modelConfigFromJson(record.config, folder);
  await onKnown?.(modelFacts({ config, clipsPerRun, files, trainedOn }));
  return withRuntime(opened, async (runtime) => {
    let embed: AudioEmbedder | undefined;
    if (embeddings && record.audioEncoder !== undefined && hasSharedEncoders(config.kind)) {
      const { audioEncoder: encoder } = record;
      const store = new WeightStore({ load: () => allWeights(options) });
      embed = new AudioEmbedder({ model: buildAvsModel(config), runtime, cache: embeddings, store, encoder });
      await embed.open();
      store.release();
    }
    const session = await runtime.createSession({ onnx, folder, isOptimized: true, name: "model" });
    const predictor = sessionPredictor({
      ...{ session, inputs: onnx.inputs, config, clipsPerRun },
      embed: embed && ((batch) => embed.embed(batch)),
    });
    return { ...predictor, config, files, trainedOn };
  });
}

/** A predictor whose session is being made. */
export interface OpeningPredictor {
  /** Says what the model is; `predict` waits for the session, and throws what `openPredictor` throws. */
  readonly predictor: LoadedPredictor;
  /** Fulfilled when the session is there, rejected when the model cannot be opened. */
  readonly opened: Promise<unknown>;
}

/**
 * Opens a model as `openPredictor` does, and returns as soon as its configuration is known, so that a video can be decoded
 * meanwhile. Making the session keeps the thread busy: it begins once `after` is fulfilled. Throws what `openPredictor`
 * throws until then.
 */
export async function beginOpening(
  options: Omit<OpenPredictorOptions, "onKnown">,
  after?: Promise<void>,
): Promise<OpeningPredictor> {
  let known: OnKnown = () => undefined;
  const facts = new Promise<ModelFacts>((resolve) => {
    known = (found) => {
      resolve(found);
      return after;
    };
  });
  const opened = openPredictor({ ...options, onKnown: known });
  opened.catch(() => undefined); // thrown where it is awaited
  const predictor: LoadedPredictor = {
    ...(await Promise.race([facts, opened])),
    predict: async (batch) => (await opened).predict(batch),
    close: () =>
      opened.then(
        ({ close }) => close(),
        () => undefined,
      ),
  };
  return { predictor, opened };
}
