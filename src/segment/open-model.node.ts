/** A model ready to segment with, in Node: the library's `loadModel`. */
import { open, readFile } from "node:fs/promises";
import path from "node:path";
import { CheckpointError } from "../errors.js";
import { readOnnx } from "../graph/read-onnx.js";
import { findWeightFile } from "../models/assemble-weights.node.js";
import { type LoadModelOptions, loadPredictor } from "../models/load-predictor.node.js";
import { createOnnxPredictor, looksLikeOnnx } from "../models/onnx-predictor.js";
import type { Predictor } from "../models/predictor.js";
import { nodeRuntime } from "../runtime/node.js";
import type { RuntimeOptions } from "../runtime/runtime.js";
import { findDemoModel } from "./demo-model.node.js";

/** Which model to open and how to run it. */
export interface OpenModelOptions extends Omit<LoadModelOptions, "checkpoint"> {
  /**
   * A checkpoint of `avseg train`, a published one of the whole state dict (torch or safetensors), or an ONNX file of
   * `avseg export`. Without it the demo model is used, which knows generated shapes and no real objects.
   */
  readonly checkpoint?: string;
  /** Execution provider and threads. */
  readonly runtime?: RuntimeOptions;
}

/**
 * Opens a model. Close it when it is no longer needed: it owns a worker thread. Throws `CheckpointError` when a file
 * is missing or damaged, does not fit, or is another encoder than the checkpoint was trained on.
 */
export async function openModel({ checkpoint, ...options }: OpenModelOptions = {}): Promise<Predictor> {
  const file = await findWeightFile(checkpoint ?? findDemoModel());
  if (!(await isOnnx(file))) return loadPredictor({ ...options, checkpoint: file });
  const onnx = readOnnx(new Uint8Array(await readFile(file)), file);
  options.signal?.throwIfAborted();
  const runtime = nodeRuntime(options.runtime);
  try {
    const beside = (name: string) => readBeside(file, name);
    const predictor = await createOnnxPredictor({ onnx, file, beside, runtime });
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
