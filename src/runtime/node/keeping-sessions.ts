/** Sessions of optimized models, and of models that are written as ONNX Runtime has optimized them. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { CreateRequest, SessionFactory } from "../answer-requests.js";
import { withSessionSettings } from "../ort-tensors.js";
import { optimizedFiles } from "../runtime.js";

/** Initializers of fewer bytes stay in the graph's file. */
const minExternalBytes = 1024;

/**
 * `sessions` with what `request` says about optimization: none for a model that was optimized before, and `keepIn` for
 * one that is to be written. ONNX Runtime writes it as it makes a session; what it wrote is opened then. Where that fails,
 * e.g. on a full disk, the session is made without.
 */
export function keepingSessions(
  sessions: SessionFactory,
  { isOptimized, keepIn }: CreateRequest,
): SessionFactory {
  const level = isOptimized ? "disabled" : undefined;
  const plain: SessionFactory = {
    create: (model, options) =>
      sessions.create(model, {
        ...options,
        graphOptimizationLevel: level ?? options.graphOptimizationLevel ?? "all",
      }),
  };
  if (keepIn === undefined) return plain;
  return {
    create: async (model, options) => {
      try {
        const file = path.join(keepIn, optimizedFiles.model);
        const settings = { ...externalInitializers, ...(reopens && { disable_prepacking: "1" }) };
        const first = await plain.create(model, {
          ...withSessionSettings(options, settings),
          optimizedModelFilePath: file,
        });
        if (!reopens) return first;
        await first.release();
        const { externalData: _, ...others } = options;
        return await sessions.create(new Uint8Array(await readFile(file)), {
          ...withSessionSettings(others, { model_external_initializers_file_folder_path: keepIn }),
          graphOptimizationLevel: "disabled",
        });
      } catch {
        return plain.create(model, options);
      }
    },
  };
}

/**
 * Whether what was written is opened in place of the session that wrote it, which then never repacks its weights: a third
 * less memory at the peak. Windows could not rename the folder while its files are mapped.
 */
const reopens = process.platform !== "win32";

const externalInitializers = {
  optimized_model_external_initializers_file_name: optimizedFiles.weights,
  optimized_model_external_initializers_min_size_in_bytes: String(minExternalBytes),
};
