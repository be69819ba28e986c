/** From a model with its weights to the graph that is exported, in the precision asked for. */
import type { AvsModel } from "../models/avs-model.js";
import { Pass } from "../nn/index.js";
import type { Runtime } from "../runtime/runtime.js";
import type { StateDict } from "../tensor.js";
import { foldedGraph, foldWeights } from "./fold-weights.js";
import { type ExportForm, exportOutputs } from "./form.js";
import { halfWeights } from "./half-weights.js";
import { int8Graph } from "./int8-graph.js";
import type { StoredGraph } from "./stored-graph.js";

/** `fp32`; `fp16-weights`: stored as halves, computed as fp32; `int8`: the large matrix products in 8 bits. */
export const precisions = ["fp32", "fp16-weights", "int8"] as const;
/** How an exported model stores its weights and computes. */
export type Precision = (typeof precisions)[number];

/** What to prepare. */
export interface PrepareOptions {
  readonly model: AvsModel;
  /** Data of all parameters by key. */
  readonly weights: StateDict;
  readonly form: ExportForm;
  readonly precision: Precision;
  /** Computes merged weights; stays the caller's to close. */
  readonly runtime: Runtime;
}

/**
 * The graph of inference with all exact rewrites, in stock ONNX operators, and the data of its weights.
 * Throws `CheckpointError` when a weight does not fit the precision.
 */
export async function prepareExport(options: PrepareOptions): Promise<StoredGraph> {
  const { model, weights, form, precision, runtime } = options;
  const outputs = exportOutputs(model, form, new Pass({ preferMatmul: precision === "int8" }));
  const folded = await foldWeights(outputs, { weights, runtime });
  switch (precision) {
    case "fp32":
      return foldedGraph(outputs, folded);
    case "fp16-weights":
      return halfWeights(foldedGraph(outputs, folded));
    case "int8": {
      const exact = model.specs.filter((spec) => spec.fullPrecision).map(({ key }) => key);
      return int8Graph(outputs, folded, { fullPrecision: new Set(exact) });
    }
  }
}
