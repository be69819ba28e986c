/** Pieces of protobuf messages, for models whose tensors are not copied. */
import { PbfWriter } from "pbf";

/** The bytes that `write` writes. */
export function written(write: (w: PbfWriter) => void): Uint8Array<ArrayBuffer> {
  const w = new PbfWriter();
  write(w);
  return new Uint8Array(w.finish());
}

/** Tag and length before the bytes of field `tag`. */
export function lengthPrefix(tag: number, length: number): Uint8Array<ArrayBuffer> {
  return written((w) => {
    w.writeTag(tag, 2);
    w.writeVarint(length);
  });
}

/** Writes a `StringStringEntryProto`, e.g. a message of `TensorProto.external_data`. */
export function writePair({ key, value }: { key: string; value: string }, w: PbfWriter): void {
  w.writeStringField(1, key);
  w.writeStringField(2, value);
}

/** Bytes that pieces take together. */
export const sizeOfPieces = (pieces: readonly Uint8Array[]): number =>
  pieces.reduce((n, piece) => n + piece.length, 0);

/** Pieces in one array. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeOfPieces(pieces));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Where the data of a tensor are: `length` bytes from `offset` on of the file `location` beside the model. */
export interface ExternalRange {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** Writes the fields of a `TensorProto` whose data lie in another file. */
export function writeExternalData({ location, offset, length }: ExternalRange, w: PbfWriter): void {
  for (const [key, value] of Object.entries({ location, offset, length })) {
    w.writeMessage(13, writePair, { key, value: String(value) });
  }
  w.writeVarintField(14, 1); // data_location: EXTERNAL
}
