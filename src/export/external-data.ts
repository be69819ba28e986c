/** Weights in a file beside the model: where each lies, and the bytes of the file. */
import type { ParameterData, StoredValue } from "../graph/index.js";
import type { StoredGraph } from "./stored-graph.js";

/** Every tensor starts at a multiple of this, so that runtimes can map the file into memory. */
const alignment = 4096;

/** A file of weights and where the model finds them in it. */
export interface ExternalData {
  readonly bytes: number;
  /** Where a parameter's data lies. */
  readonly at: (value: StoredValue) => ParameterData;
  /** The file, in pieces. */
  readonly pieces: () => Iterable<Uint8Array>;
}

/** Lays out the weights in a file that the model calls `location`. */
export function externalData({ graph, weights }: StoredGraph, location: string): ExternalData {
  const places = new Map<string, { offset: number; data: Uint8Array }>();
  let end = 0;
  for (const { name } of graph.parameters) {
    const stored = weights.get(name);
    if (stored === undefined) throw new Error(`export: "${name}" has no data`);
    const { buffer, byteOffset, byteLength } = stored.data;
    const offset = Math.ceil(end / alignment) * alignment;
    places.set(name, { offset, data: new Uint8Array(buffer, byteOffset, byteLength) });
    end = offset + byteLength;
  }
  return {
    bytes: end,
    at: ({ name }) => {
      const place = places.get(name);
      if (place === undefined) throw new Error(`export: "${name}" has no place in ${location}`);
      return { location, offset: place.offset, length: place.data.length };
    },
    *pieces() {
      let written = 0;
      for (const { offset, data } of places.values()) {
        if (offset > written) yield new Uint8Array(offset - written);
        yield data;
        written = offset + data.length;
      }
    },
  };
}
