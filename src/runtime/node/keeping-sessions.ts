/** Sessions of optimized models, and of models that are written as ONNX Runtime has optimized them. */
import path from "node:path";
import type { CreateRequest, SessionFactory } from "../answer-requests.js";
import { withSessionSettings } from "../ort-tensors.js";
import { optimizedFiles } from "../runtime.js";

/** Initializers of fewer bytes stay in the graph's file. */
const minExternalBytes = 1024;

/**
 * `sessions` with what `request` says about optimization: none for a model that was optimized before, and `keepIn` for
 * one that is to be written. ONNX Runtime writes it as it makes the session, which takes a second for 650 MB. Where that
 * fails, e.g. on a full disk, the session is made without.
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
        return await plain.create(model, {
          ...withSessionSettings(options, externalInitializers),
          optimizedModelFilePath: path.join(keepIn, optimizedFiles.model),
        });
      } catch {
        return plain.create(model, options);
      }
    },
  };
}

const externalInitializers = {
  optimized_model_external_initializers_file_name: optimizedFiles.weights,
  optimized_model_external_initializers_min_size_in_bytes: String(minExternalBytes),
};
