/** Weights in a file apart from the model: where each lies, and the bytes of the file. */

import { type FilePlace, placeOf } from "../file-tensor.js";
import type { ParameterData, StoredValue } from "../graph/index.js";
import { sizeOf } from "../tensor.js";
import type { StoredData, StoredWeights } from "./runtime.js";

/** Every tensor starts at a multiple of this, so that runtimes can map the file into memory. */
const alignment = 4096;

/** Bytes and their place in a file. */
export interface Piece {
  readonly offset: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Weights that lie in another file, and their place in this one, as 32-bit floats. */
export interface MovedWeights {
  readonly offset: number;
  readonly length: number;
  readonly from: FilePlace;
}

/** A file of weights and where the model finds them in it. */
export interface ExternalData {
  readonly bytes: number;
  /** Where a parameter's data lies. */
  readonly at: (value: StoredValue) => ParameterData;
  /** The weights in the order of their places; there are zeros between them. */
  readonly pieces: readonly Piece[];
  /** Weights that are to be copied from other files. */
  readonly moved: readonly MovedWeights[];
}

/** What is laid out. */
export interface ExternalDataOptions {
  readonly parameters: readonly StoredValue[];
  readonly weights: StoredWeights;
  /** Weights in files are not read, but listed as `moved`. Default: false. */
  readonly moves?: boolean | undefined;
}

/** Lays out the weights of `parameters` in a file that the model calls `location`. */
export function externalData(
  { parameters, weights, moves = false }: ExternalDataOptions,
  location: string,
): ExternalData {
  const places = new Map<string, { readonly offset: number; readonly length: number }>();
  const pieces: Piece[] = [];
  const moved: MovedWeights[] = [];
  let end = 0;
  for (const { name } of parameters) {
    const stored = weights.get(name);
    if (stored === undefined) throw new Error(`weights: "${name}" has no data`);
    const offset = Math.ceil(end / alignment) * alignment;
    const from = moves ? placeOf(stored) : undefined;
    const length = storedBytes(stored);
    if (from) {
      moved.push({ offset, length, from });
    } else {
      const { buffer, byteOffset } = stored.data;
      pieces.push({ offset, data: new Uint8Array(buffer, byteOffset, length) });
    }
    places.set(name, { offset, length });
    end = offset + length;
  }
  return {
    bytes: end,
    at: ({ name }) => {
      const place = places.get(name);
      if (place === undefined) throw new Error(`weights: "${name}" has no place in ${location}`);
      return { location, ...place };
    },
    pieces,
    moved,
  };
}

/** Bytes of a weight in memory, where it may not be yet. */
export function storedBytes(stored: StoredData): number {
  return placeOf(stored) ? 4 * sizeOf(stored.shape) : stored.data.byteLength;
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
