/** Weights stored as IEEE halves: half the file, computed with as f32. */
import { CheckpointError } from "../errors.js";
import type { OnnxNode, StoredValue } from "../graph/index.js";
import { narrowToHalf } from "../half.js";
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
    halves.set(half, { name: half, dtype: "f16", shape, data: narrowed(data, name) });
    casts.push(castToF32(half, name));
  }
  return withNodes(source, [...casts, ...source.graph.nodes], halves);
}

function narrowed(data: Float32Array, name: string): Uint16Array<ArrayBuffer> {
  const bits = narrowToHalf(data);
  const bad = bits.findIndex((b, i) => (b & 0x7fff) === 0x7c00 && Number.isFinite(data[i]));
  if (bad < 0) return bits;
  throw new CheckpointError(`${name}: the value ${data[bad]} is too large for half precision`, {
    hint: "export with --precision fp32",
  });
}
