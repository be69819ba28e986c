/** From a model file of any kind to a predictor, on any platform. */
import type { AvsModel } from "../models/avs-model.js";
import { hasSharedEncoders } from "../models/systems.js";
import type { Runtime } from "../runtime/runtime.js";
import type { WeightStore } from "../weights/weight-store.js";
import { type LoadModelOptions, loadModel, requireSameModel } from "./load-model.js";
import { modelFacts, type OnKnown } from "./model-facts.js";
import { modelPredictor } from "./model-predictor.js";
import { onnxPredictor } from "./onnx-predictor.js";
import type { KeepOptions, LoadedPredictor, Predictor } from "./predictor.js";
import type { Embed } from "./session-predictor.js";
import type { ModelFiles } from "./weight-sources.js";

/** Which model to open and how to run it. */
export interface OpenPredictorOptions extends LoadModelOptions {
  /**
   * Clips per run. Default: 1, which is fastest on processors; a graphics card gains from more. An exported model has a
   * fixed number.
   */
  readonly clipsPerRun?: number | undefined;
  /** Called when the model is known, before its session is made; again where it is opened another way after a failure. */
  readonly onKnown?: OnKnown | undefined;
}

/** What differs between Node and browsers. */
export interface Platform {
  readonly files: ModelFiles;
  /** Starts a runtime; the predictor closes it. */
  readonly startRuntime: () => Promise<Runtime> | Runtime;
  /** Runs the audio encoder apart from the rest, where embeddings are cached. */
  readonly embedder?:
    | ((parts: {
        readonly model: AvsModel;
        readonly store: WeightStore;
        readonly runtime: Runtime;
      }) => Promise<Embed>)
    | undefined;
  /** Writes the optimized model. Default: nothing is written. */
  readonly keep?: KeepOptions | undefined;
}

/**
 * Opens a checkpoint of `avseg train`, a published one, or an ONNX file of `avseg export` (which holds everything).
 * Throws `CheckpointError` when a file is missing or damaged, does not fit, or is another encoder than the checkpoint
 * was trained on.
 */
export async function openPredictor(
  options: OpenPredictorOptions,
  { files, startRuntime, embedder, keep }: Platform,
): Promise<LoadedPredictor> {
  const { config, signal, clipsPerRun, onKnown } = options;
  const checkpoint = await files.locate(options.checkpoint);
  if ((await files.container(checkpoint)) === "onnx") {
    const file = await files.onnx(checkpoint);
    signal?.throwIfAborted();
    return withRuntime(await startRuntime(), async (runtime) => {
      const predictor = await onnxPredictor({
        ...file,
        file: checkpoint,
        runtime,
        keepIn: keep?.folder,
        onKnown,
      });
      if (config) requireSameModel(config, predictor.config, checkpoint);
      return predictor;
    });
  }
  const { model, store, files: encoders, trainedOn } = await loadModel({ ...options, checkpoint }, files);
  await onKnown?.(modelFacts({ config: model.config, clipsPerRun, files: encoders, trainedOn }));
  return withRuntime(await startRuntime(), async (runtime) => {
    const embeds = hasSharedEncoders(model.config.kind);
    const embed = embeds ? await embedder?.({ model, store, runtime }) : undefined;
    const predictor = await modelPredictor({ model, store, runtime, clipsPerRun, embed, keep });
    store.release();
    return { ...predictor, config: model.config, files: encoders, trainedOn };
  });
}

/** A predictor that owns its runtime. */
export async function withRuntime<P extends Predictor>(
  runtime: Runtime,
  create: (runtime: Runtime) => Promise<P>,
): Promise<P> {
  try {
    const predictor = await create(runtime);
    return { ...predictor, close: () => runtime.close() };
  } catch (error) {
    await runtime.close();
    throw error;
  }
}
