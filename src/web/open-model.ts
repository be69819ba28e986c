/** A model ready to segment with, in a browser: the `loadModel` of `avseg/web`. */
import { CheckpointError } from "../errors.js";
import { readOnnx } from "../graph/read-onnx.js";
import { createPredictor } from "../models/create-predictor.js";
import type { InferenceHints } from "../models/infer-config.js";
import { type LoadedModel, loadModelFrom } from "../models/load-model.js";
import type { AvsModelConfig } from "../models/model-config.js";
import { createOnnxPredictor, looksLikeOnnx } from "../models/onnx-predictor.js";
import type { Predictor } from "../models/predictor.js";
import type { Runtime } from "../runtime/runtime.js";
import { type WebRuntimeOptions, webRuntime } from "../runtime/web.js";
import { blobOf, type DownloadOptions, nameOf, type WebFile } from "./web-file.js";
import { webWeightReader } from "./weight-files.js";

/** Which model to open and how to run it. */
export interface OpenModelOptions extends DownloadOptions {
  /**
   * An ONNX file of `avseg export`, which holds everything; a checkpoint of `avseg train`; or a published one of the
   * whole state dict (torch or safetensors).
   */
  readonly checkpoint: WebFile;
  /** The frozen encoders that a checkpoint of `avseg train` leaves out. */
  readonly encoders?: { readonly visual?: WebFile; readonly audio?: WebFile; readonly pca?: WebFile };
  /** The model, where it is not to be told from the checkpoint. */
  readonly config?: AvsModelConfig;
  /** What shapes cannot tell about a published checkpoint. */
  readonly hints?: InferenceHints;
  /** Execution provider, threads, and where the runtime's files lie. */
  readonly runtime?: WebRuntimeOptions;
}

/**
 * Opens a model in a worker of its own; close it when it is no longer needed. Throws `CheckpointError` when a file
 * cannot be fetched, is damaged, does not fit, or is another encoder than the checkpoint was trained on.
 */
export async function openModel(options: OpenModelOptions): Promise<Predictor> {
  const name = nameOf(options.checkpoint, "checkpoint");
  const blob = await blobOf(options.checkpoint, CheckpointError, options);
  if (looksLikeOnnx(new Uint8Array(await blob.slice(0, 9).arrayBuffer()))) {
    const onnx = readOnnx(new Uint8Array(await blob.arrayBuffer()), name);
    return withRuntime(options, (runtime) => createOnnxPredictor({ onnx, file: name, runtime }));
  }
  const { model, weights } = await loadCheckpoint(new File([blob], name), options);
  return withRuntime(options, async (runtime) => createPredictor({ model, weights, runtime }));
}

/** A predictor on a runtime of its own, which ends with it. */
async function withRuntime(
  { runtime: options }: OpenModelOptions,
  create: (runtime: Runtime) => Promise<Predictor>,
): Promise<Predictor> {
  const runtime = await webRuntime(options);
  try {
    const predictor = await create(runtime);
    return { ...predictor, close: () => runtime.close() };
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

function loadCheckpoint(checkpoint: File, options: OpenModelOptions): Promise<LoadedModel> {
  const { encoders = {}, config, hints, signal } = options;
  const files = new Map<string, WebFile>();
  const named = (file: WebFile | undefined, fallback: string) => {
    if (file === undefined) return undefined;
    // Files of one name are told apart by their part.
    const name = files.has(nameOf(file, fallback)) ? fallback : nameOf(file, fallback);
    files.set(name, file);
    return name;
  };
  const main = named(checkpoint, "checkpoint") ?? "checkpoint";
  const parts = Object.fromEntries(
    (["visual", "audio", "pca"] as const).flatMap((part) => {
      const name = named(encoders[part], `${part} encoder`);
      return name === undefined ? [] : [[part, name]];
    }),
  );
  return loadModelFrom(
    {
      checkpoint: main,
      encoders: parts,
      ...(config ? { config } : {}),
      ...(hints ? { hints } : {}),
      ...(signal ? { signal } : {}),
    },
    webWeightReader(files, options),
  );
}
