/** A model ready to segment with, in a browser: the `loadModel` of `avseg/web`. */
import { CheckpointError } from "../errors.js";
import { readOnnx } from "../graph/onnx/read.js";
import { createPredictor } from "../inference/create-predictor.js";
import type { InferenceHints } from "../inference/infer-config.js";
import { type LoadedModel, loadModelFrom } from "../inference/load-model.js";
import { createOnnxPredictor, looksLikeOnnx } from "../inference/onnx-predictor.js";
import type { Predictor } from "../inference/predictor.js";
import type { AvsModelConfig } from "../models/model-config.js";
import type { Runtime } from "../runtime/runtime.js";
import { type WebRuntimeOptions, webRuntime } from "../runtime/web/web-runtime.js";
import type { StateDict } from "../tensor.js";
import { blobOf, type DownloadOptions, nameOf, type WebFile } from "./web-file.js";
import { webWeightReader } from "./weight-files.js";

/** The frozen encoders that a checkpoint of `avseg train` leaves out. */
export interface EncoderFiles {
  readonly visual?: WebFile | undefined;
  readonly audio?: WebFile | undefined;
  /** VGGish's PCA parameters. */
  readonly pca?: WebFile | undefined;
}

/** Which model to open and how to run it. */
export interface OpenModelOptions extends DownloadOptions {
  /**
   * An ONNX file of `avseg export`, which holds everything; a checkpoint of `avseg train`; or a published one of the
   * whole state dict (torch or safetensors).
   */
  readonly checkpoint: WebFile;
  /** The `.data` file of an ONNX file with external data; without it, it is fetched from beside the ONNX file. */
  readonly externalData?: WebFile | undefined;
  /** The encoders that the checkpoint leaves out. */
  readonly encoders?: EncoderFiles | undefined;
  /** The model, where it is not to be told from the checkpoint. */
  readonly config?: AvsModelConfig | undefined;
  /** What shapes cannot tell about a published checkpoint. */
  readonly hints?: InferenceHints | undefined;
  /** Execution provider, threads, and where the runtime's files lie. */
  readonly runtime?: WebRuntimeOptions | undefined;
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
    options.signal?.throwIfAborted();
    const beside = (file: string) => readBeside(file, options);
    return withRuntime(options, (runtime) => createOnnxPredictor({ onnx, file: name, beside, runtime }));
  }
  const load = checkpointLoader(name, blob, options);
  const { model, weights } = await load();
  // The first session uses the weights up; a later one, for another batch size, reads them again.
  let loaded: StateDict | undefined = weights;
  const nextWeights = async (): Promise<StateDict> => {
    const next = loaded ?? (await load()).weights;
    loaded = undefined;
    return next;
  };
  return withRuntime(options, async (runtime) => createPredictor({ model, weights: nextWeights, runtime }));
}

/** The weights of an ONNX file that lie beside it, in a file called `name`. */
async function readBeside(name: string, options: OpenModelOptions): Promise<Uint8Array<ArrayBuffer>> {
  const { checkpoint, externalData } = options;
  let file = externalData;
  if (file === undefined) {
    if (typeof checkpoint !== "string" && !(checkpoint instanceof URL)) {
      throw new CheckpointError(
        `${nameOf(checkpoint, "checkpoint")}: its weights lie in another file, ${name}`,
        {
          hint: "Give that as `externalData`, or export the model again without --external-data.",
        },
      );
    }
    file = new URL(name, new URL(checkpoint, globalThis.location.href));
  }
  const blob = await blobOf(file, CheckpointError, options);
  return new Uint8Array(await blob.arrayBuffer());
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

/** Loads a checkpoint with its encoders, as often as it is called; what was fetched once is kept. */
function checkpointLoader(
  checkpoint: string,
  blob: Blob,
  options: OpenModelOptions,
): () => Promise<LoadedModel> {
  const { encoders = {}, config, hints, signal } = options;
  const files = new Map<string, WebFile>([[checkpoint, blob]]);
  const parts = Object.fromEntries(
    (["visual", "audio", "pca"] as const).flatMap((part) => {
      const file = encoders[part];
      if (file === undefined) return [];
      // Files of one name are told apart by their part.
      const fallback = `${part} encoder`;
      const name = files.has(nameOf(file, fallback)) ? fallback : nameOf(file, fallback);
      files.set(name, file);
      return [[part, name]];
    }),
  );
  const read = webWeightReader(files, options);
  return () =>
    loadModelFrom(
      {
        checkpoint,
        encoders: parts,
        config,
        hints,
        signal,
      },
      read,
    );
}
