/** A model ready to segment with, in a browser. */
import { CheckpointError } from "../errors.js";
import { type OpenPredictorOptions, openPredictor } from "../inference/open-predictor.js";
import type { EncoderFiles } from "../inference/weight-sources.js";
import { type WebRuntimeOptions, webRuntime } from "../runtime/web/web-runtime.js";
import { type Model, segmentingModel } from "../segment/model.js";
import { PUBLISHED_MODELS } from "../weights/public/models.js";
import { webFiles } from "./model-files.js";
import { segmentVideo } from "./segment-video.js";
import { type DownloadOptions, nameOf, type WebFile } from "./web-file.js";

/** Which model to open and how to run it. */
export interface OpenModelOptions
  extends DownloadOptions,
    Omit<OpenPredictorOptions, "checkpoint" | "encoders" | "signal"> {
  /**
   * An ONNX file of `avseg export`, which holds everything; a checkpoint of `avseg train`; or a published one of the
   * whole state dict (torch or safetensors).
   */
  readonly checkpoint: WebFile;
  /** The `.data` file of an ONNX file with external data. Default: it is fetched from beside the ONNX file. */
  readonly externalData?: WebFile | undefined;
  /** The encoders that the checkpoint leaves out. */
  readonly encoders?: EncoderFiles<WebFile> | undefined;
  /** Execution provider, threads, and where the runtime's files lie. */
  readonly runtime?: WebRuntimeOptions | undefined;
}

/**
 * Opens a model in a worker of its own; close it when it is no longer needed. Throws `CheckpointError` when a file
 * cannot be fetched, is damaged, does not fit, or is another encoder than the checkpoint was trained on, and for the name
 * of a public model, which browsers cannot fetch from its host.
 *
 * @example
 * const model = await openModel({ checkpoint: "/models/s4.onnx", runtime: { provider: "webgpu" } });
 * for await (const { mask } of model.segment(file)) console.log(mask.regions);
 * await model.close();
 */
export async function openModel(options: OpenModelOptions): Promise<Model<WebFile>> {
  const { checkpoint, externalData, encoders = {}, runtime, signal, onProgress, ...rest } = options;
  if (typeof checkpoint === "string" && PUBLISHED_MODELS.has(checkpoint)) {
    throw new CheckpointError(`${checkpoint} is a public model, whose host does not serve it to web pages`, {
      hint: `Export it with \`avseg export --model ${checkpoint} --out ${checkpoint}.onnx\`, serve that file, and give its address.`,
    });
  }
  const name = nameOf(checkpoint, "checkpoint");
  const files = new Map<string, WebFile>([[name, checkpoint]]);
  const named = Object.fromEntries(
    (["visual", "audio", "pca"] as const).flatMap((part) => {
      const file = encoders[part];
      if (file === undefined || file === null) return [];
      // Files with equal names are distinguished by their part.
      const fallback = `${part} encoder`;
      const own = files.has(nameOf(file, fallback)) ? fallback : nameOf(file, fallback);
      files.set(own, file);
      return [[part, own]];
    }),
  );
  const isAddress = typeof checkpoint === "string" || checkpoint instanceof URL;
  const address = isAddress ? new URL(checkpoint, globalThis.location.href) : undefined;
  const predictor = await openPredictor(
    { ...rest, checkpoint: name, encoders: named, signal },
    {
      files: webFiles({ files, externalData, address, signal, onProgress }),
      startRuntime: () => webRuntime(runtime),
    },
  );
  return segmentingModel(predictor, segmentVideo);
}
