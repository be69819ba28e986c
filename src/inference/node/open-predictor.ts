/** From a model file of any kind on disk to a predictor, in Node. */
import { open, readFile } from "node:fs/promises";
import path from "node:path";
import { CheckpointError } from "../../errors.js";
import { readOnnx } from "../../graph/onnx/read.js";
import { nodeRuntime } from "../../runtime/node/node-runtime.js";
import { requireSameModel } from "../load-model.js";
import { createOnnxPredictor, looksLikeOnnx } from "../onnx-predictor.js";
import type { LoadedPredictor } from "../predictor.js";
import { findWeightFile } from "./assemble-weights.js";
import { type LoadPredictorOptions, loadPredictor } from "./load-predictor.js";

/**
 * Opens a checkpoint or an ONNX file of `avseg export`, which needs no encoders and has no embeddings apart. Throws
 * `CheckpointError` when a file is missing or damaged, does not fit, or is another encoder than the checkpoint was
 * trained on.
 */
export async function openPredictor(options: LoadPredictorOptions): Promise<LoadedPredictor> {
  const file = await findWeightFile(options.checkpoint);
  if (!(await isOnnx(file))) return loadPredictor({ ...options, checkpoint: file });
  const onnx = readOnnx(new Uint8Array(await readFile(file)), file);
  options.signal?.throwIfAborted();
  const runtime = nodeRuntime(options.runtime);
  try {
    const beside = (name: string) => readBeside(file, name);
    const predictor = await createOnnxPredictor({ onnx, file, beside, runtime });
    if (options.config) requireSameModel(options.config, predictor.description, file);
    return { ...predictor, close: () => runtime.close() };
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

/** The weights of an ONNX file that lie beside it. */
async function readBeside(file: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const beside = path.join(path.dirname(file), name);
  const bytes = await readFile(beside).catch((cause: unknown) => {
    throw new CheckpointError(`${beside}: cannot be read, and holds the weights of ${file}`, {
      cause,
      hint: "Keep the two together, or export it again without --external-data.",
    });
  });
  return new Uint8Array(bytes);
}

async function isOnnx(file: string): Promise<boolean> {
  // What cannot be read is worded better by the reader of checkpoints.
  const handle = await open(file, "r").catch(() => undefined);
  try {
    const start = await handle?.read(new Uint8Array(9), 0, 9, 0);
    return start !== undefined && looksLikeOnnx(start.buffer);
  } catch {
    return false; // a folder
  } finally {
    await handle?.close();
  }
}
