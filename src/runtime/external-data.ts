/** Weights in a file apart from the model: where each lies, and the bytes of the file. */
import type { ParameterData, StoredValue } from "../graph/index.js";
import type { StoredWeights } from "./runtime.js";

/** Every tensor starts at a multiple of this, so that runtimes can map the file into memory. */
const alignment = 4096;

/** Bytes and their place in a file. */
export interface Piece {
  readonly offset: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** A file of weights and where the model finds them in it. */
export interface ExternalData {
  readonly bytes: number;
  /** Where a parameter's data lies. */
  readonly at: (value: StoredValue) => ParameterData;
  /** The weights in the order of their places; there are zeros between them. */
  readonly pieces: readonly Piece[];
}

/** Lays out the weights of `parameters` in a file that the model calls `location`. */
export function externalData(
  { parameters, weights }: { readonly parameters: readonly StoredValue[]; readonly weights: StoredWeights },
  location: string,
): ExternalData {
  const places = new Map<string, Piece>();
  let end = 0;
  for (const { name } of parameters) {
    const stored = weights.get(name);
    if (stored === undefined) throw new Error(`weights: "${name}" has no data`);
    const { buffer, byteOffset, byteLength } = stored.data;
    const offset = Math.ceil(end / alignment) * alignment;
    places.set(name, { offset, data: new Uint8Array(buffer, byteOffset, byteLength) });
    end = offset + byteLength;
  }
  return {
    bytes: end,
    at: ({ name }) => {
      const place = places.get(name);
      if (place === undefined) throw new Error(`weights: "${name}" has no place in ${location}`);
      return { location, offset: place.offset, length: place.data.length };
    },
    pieces: [...places.values()],
  };
}

/** The bytes of a file of weights from its start to its end. */
export function* filePieces(pieces: readonly Piece[]): Generator<Uint8Array<ArrayBuffer>> {
  let written = 0;
  for (const { offset, data } of pieces) {
    if (offset > written) yield new Uint8Array(offset - written);
    yield data;
    written = offset + data.length;
  }
}
