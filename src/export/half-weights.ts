/** Weights stored as IEEE halves: half the file, computed with as f32. */
import type { OnnxNode, StoredValue } from "../graph/index.js";
import { narrowWeights } from "../half.js";
import type { StoredData } from "../runtime/runtime.js";
import { castToF32, type StoredGraph, withNodes } from "./stored-graph.js";

/**
 * Stores every f32 weight as halves and casts it back in the graph, which runtimes do once, when they load the model.
 * Throws `CheckpointError` for a weight beyond the range of halves (65504).
 */
export function halfWeights(source: StoredGraph): StoredGraph {
  const casts: OnnxNode[] = [];
  const halves = new Map<string, StoredValue & StoredData>();
  for (const { name, dtype, shape } of source.graph.parameters) {
    const data = source.weights.get(name)?.data;
    if (dtype !== "f32" || !(data instanceof Float32Array)) continue;
    const half = `${name}.f16`;
    halves.set(half, {
      name: half,
      dtype: "f16",
      shape,
      data: narrowWeights(data, name, "export with --precision fp32"),
    });
    casts.push(castToF32(half, name));
  }
  return withNodes(source, [...casts, ...source.graph.nodes], halves);
}
