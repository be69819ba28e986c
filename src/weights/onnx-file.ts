/**
 * ONNX files without reading their weights: the model as it is, with its large tensors left where they are in the file.
 * A runtime then maps them into memory, instead of parsing and copying hundreds of megabytes.
 */
import { PbfReader } from "pbf";
import { CheckpointError } from "../errors.js";
import { joined, lengthPrefix, sizeOfPieces, writeExternalData, written } from "../graph/onnx/protobuf.js";
import { type OnnxModel, readOnnx } from "../graph/onnx/read.js";
import type { ByteSource } from "./byte-source.js";

/** Tensors of fewer bytes stay in the model. */
const minBytes = 1024;

/** Field numbers of onnx.proto3: `ModelProto`, `GraphProto`, `TensorProto`. */
const fields = { graph: 7, initializer: 5, rawData: 9 } as const;

/** Bytes of one field: its tag, then for a message or bytes its length, then its content until `end`. */
interface Field {
  readonly tag: number;
  readonly isBytes: boolean;
  readonly start: number;
  readonly content: number;
  readonly end: number;
}

/**
 * Reads an ONNX file; its large tensors become external data in the file called `location`, which is the file itself.
 * Throws `CheckpointError` for a file that is not an ONNX model.
 */
export async function readOnnxFile(source: ByteSource, location: string): Promise<OnnxModel> {
  const tensor = (field: Field) => externalTensor(source, field, location);
  const graph = (field: Field) =>
    rewritten(source, field, { isReplaced: isLarge(fields.initializer), replace: tensor });
  const whole = { content: 0, end: source.size };
  const pieces = await rewritten(source, whole, { isReplaced: isLarge(fields.graph), replace: graph });
  return readOnnx(joined(pieces), source.name);
}

/** Whether a field is a message or bytes of this number, and of some length. */
const isLarge =
  (tag: number) =>
  (field: Field): boolean =>
    field.tag === tag && field.isBytes && field.end - field.content >= minBytes;

/** A tensor whose data stay in the file; one without large `raw_data` stays as it is. */
function externalTensor(source: ByteSource, tensor: Field, location: string): Promise<Uint8Array[]> {
  return rewritten(source, tensor, {
    isReplaced: isLarge(fields.rawData),
    replace: async ({ content, end }) => [
      written((w) => writeExternalData({ location, offset: content, length: end - content }, w)),
    ],
    isWhole: true,
  });
}

/** Which fields of a message are replaced, and by what. */
interface Replacement {
  readonly isReplaced: (field: Field) => boolean;
  /** The content of the field's replacement; with `isWhole`, the fields that take its place. */
  readonly replace: (field: Field) => Promise<Uint8Array[]>;
  readonly isWhole?: boolean | undefined;
}

/** Bytes that are read at once: thousands of nodes are small. */
const windowBytes = 1 << 16;

/** Tag and length take two varints. */
const maxHeaderBytes = 20;

/** The content of a message with some of its fields replaced. Throws `CheckpointError` for a malformed one. */
async function rewritten(
  source: ByteSource,
  { content, end }: Pick<Field, "content" | "end">,
  { isReplaced, replace, isWhole = false }: Replacement,
): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  let copied = content;
  const copyUntil = async (place: number): Promise<void> => {
    if (place > copied) pieces.push(await source.read(copied, place - copied));
  };
  let [from, reader] = [content, new PbfReader(new Uint8Array(0))];
  for (let at = content; at < end; ) {
    if (Math.min(at + maxHeaderBytes, end) > from + reader.length) {
      from = at;
      reader = new PbfReader(await source.read(at, Math.min(windowBytes, end - at)));
    }
    reader.pos = at - from;
    const field = nextField(reader, from);
    if (field === undefined || field.end > end) {
      throw new CheckpointError(`${source.name}: not an ONNX model, or a damaged file`);
    }
    at = field.end;
    if (!isReplaced(field)) continue;
    await copyUntil(field.start);
    const replaced = await replace(field);
    if (!isWhole) pieces.push(lengthPrefix(field.tag, sizeOfPieces(replaced)));
    pieces.push(...replaced);
    copied = field.end;
  }
  await copyUntil(end);
  return pieces;
}

/** The field at the reader's position; `undefined` for a malformed one. */
function nextField(reader: PbfReader, from: number): Field | undefined {
  const start = from + reader.pos;
  try {
    const key = reader.readVarint();
    const [tag, wire] = [Math.floor(key / 8), key % 8];
    const length = wire === 2 ? reader.readVarint() : wire === 1 ? 8 : wire === 5 ? 4 : 0;
    if (wire === 0) reader.readVarint();
    const content = from + reader.pos;
    const isKnown = wire === 0 || wire === 1 || wire === 2 || wire === 5;
    return isKnown ? { tag, isBytes: wire === 2, start, content, end: content + length } : undefined;
  } catch {
    return undefined;
  }
}
