/** Serialises an ONNX graph to the bytes of a `ModelProto` (field numbers from onnx.proto3, IR version 10). */
import { PbfWriter } from "pbf";
import { elementType, storedElementType } from "./element-type.js";
import type { OnnxGraph } from "./emit.js";
import type { OnnxAttribute, OnnxNode, OnnxValue, StoredValue } from "./emitter.js";

const opsetVersion = 20;
const contribVersion = 1;

/** Protobuf's limit on one message. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/** Where the data of a frozen parameter is: in the model, or a range of a file beside it. */
export type ParameterData =
  | { readonly data: { readonly data: ArrayBufferView<ArrayBuffer> } }
  | { readonly location: string; readonly offset: number; readonly length: number };

/** What to write beside the graph itself. */
export interface SerialiseOptions {
  /** Data of each parameter by key. Throws `Error` (from the caller's function) for an unknown one. */
  readonly parameter: (value: StoredValue) => ParameterData;
  /** Name of the graph. */
  readonly name?: string;
  /** Documentation of the model. */
  readonly doc?: string;
  /** Key-value metadata of the model. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Documentation of inputs and outputs by name. */
  readonly valueDocs?: Readonly<Record<string, string>>;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** The bytes of the model in one array. Throws `RangeError` above protobuf's limit of 2 GiB. */
export function serialiseOnnx(graph: OnnxGraph, options: SerialiseOptions): Bytes {
  const pieces = serialisePieces(graph, options);
  const bytes = new Uint8Array(sizeOfPieces(pieces));
  let position = 0;
  for (const piece of pieces) {
    bytes.set(piece, position);
    position += piece.length;
  }
  return bytes;
}

/** The bytes of the model in pieces; weights are not copied. Throws `RangeError` above protobuf's limit of 2 GiB. */
export function serialisePieces(graph: OnnxGraph, options: SerialiseOptions): readonly Bytes[] {
  const head = written((w) => {
    w.writeVarintField(1, 10); // ir_version
    w.writeStringField(2, "avseg");
    if (options.doc !== undefined) w.writeStringField(6, options.doc);
  });
  const tail = written((w) => {
    writeOpset(w, "", opsetVersion);
    if (graph.nodes.some((n) => n.domain === "com.microsoft")) writeOpset(w, "com.microsoft", contribVersion);
    for (const [key, value] of Object.entries(options.metadata ?? {})) {
      w.writeMessage(14, writePair, { key, value });
    }
  });
  const body = [
    written((w) => writeGraph({ graph, options }, w)),
    ...[...graph.constants].flatMap(([name, data]) => tensorPieces({ ...data, name }, { data })),
    ...graph.parameters.flatMap((value) => tensorPieces(value, options.parameter(value))),
  ];
  const pieces = [head, lengthPrefix(7, sizeOfPieces(body)), ...body, tail];
  if (sizeOfPieces(pieces) > MAX_MODEL_BYTES) {
    throw new RangeError("onnx: the model is larger than 2 GiB, the limit of its format");
  }
  return pieces;
}

function sizeOfPieces(pieces: readonly Bytes[]): number {
  return pieces.reduce((n, piece) => n + piece.length, 0);
}

function written(write: (w: PbfWriter) => void): Bytes {
  const w = new PbfWriter();
  write(w);
  return new Uint8Array(w.finish());
}

/** Tag and length before the bytes of field `tag`. */
function lengthPrefix(tag: number, length: number): Bytes {
  return written((w) => {
    w.writeTag(tag, 2);
    w.writeVarint(length);
  });
}

function writeOpset(w: PbfWriter, domain: string, version: number): void {
  w.writeMessage(
    8,
    (opset: { domain: string; version: number }, p) => {
      p.writeStringField(1, opset.domain);
      p.writeVarintField(2, opset.version);
    },
    { domain, version },
  );
}

function writePair({ key, value }: { key: string; value: string }, w: PbfWriter): void {
  w.writeStringField(1, key);
  w.writeStringField(2, value);
}

/** Everything of the graph but its tensors. */
function writeGraph({ graph, options }: { graph: OnnxGraph; options: SerialiseOptions }, w: PbfWriter): void {
  graph.nodes.forEach((node, i) => {
    w.writeMessage(1, writeNode, { node, name: `n${i}_${node.op}` });
  });
  w.writeStringField(2, options.name ?? "avseg");
  for (const value of graph.inputs)
    w.writeMessage(11, writeValue, { value, doc: options.valueDocs?.[value.name] });
  for (const value of graph.outputs)
    w.writeMessage(12, writeValue, { value, doc: options.valueDocs?.[value.name] });
}

function writeNode({ node, name }: { node: OnnxNode; name: string }, w: PbfWriter): void {
  for (const x of node.inputs) w.writeStringField(1, x);
  for (const y of node.outputs) w.writeStringField(2, y);
  w.writeStringField(3, name);
  w.writeStringField(4, node.op);
  for (const [key, attribute] of Object.entries(node.attributes)) {
    w.writeMessage(5, writeAttribute, { key, attribute });
  }
  if (node.domain !== "") w.writeStringField(7, node.domain);
}

function writeAttribute({ key, attribute }: { key: string; attribute: OnnxAttribute }, w: PbfWriter): void {
  w.writeStringField(1, key);
  if ("f" in attribute) {
    w.writeFloatField(2, attribute.f);
    w.writeVarintField(20, 1);
  } else if ("i" in attribute) {
    w.writeVarintField(3, attribute.i);
    w.writeVarintField(20, 2);
  } else if ("s" in attribute) {
    w.writeBytesField(4, new TextEncoder().encode(attribute.s));
    w.writeVarintField(20, 3);
  } else if ("floats" in attribute) {
    for (const f of attribute.floats) w.writeFloatField(7, f);
    w.writeVarintField(20, 6);
  } else {
    for (const i of attribute.ints) w.writeVarintField(8, i);
    w.writeVarintField(20, 7);
  }
}

/** An initializer of the graph: its description, then its data where that is in the model. */
function tensorPieces({ name, dtype, shape }: StoredValue, from: ParameterData): Bytes[] {
  const description = written((w) => {
    for (const d of shape) w.writeVarintField(1, d);
    w.writeVarintField(2, storedElementType[dtype]);
    w.writeStringField(8, name);
    if ("data" in from) return;
    w.writeMessage(13, writePair, { key: "location", value: from.location });
    w.writeMessage(13, writePair, { key: "offset", value: String(from.offset) });
    w.writeMessage(13, writePair, { key: "length", value: String(from.length) });
    w.writeVarintField(14, 1); // data_location: EXTERNAL
  });
  const fields = [description];
  if ("data" in from) {
    const { buffer, byteOffset, byteLength } = from.data.data;
    fields.push(lengthPrefix(9, byteLength), new Uint8Array(buffer, byteOffset, byteLength));
  }
  return [lengthPrefix(5, sizeOfPieces(fields)), ...fields];
}

function writeValue({ value, doc }: { value: OnnxValue; doc: string | undefined }, w: PbfWriter): void {
  w.writeStringField(1, value.name);
  w.writeMessage(
    2,
    (v: OnnxValue, type) => {
      type.writeMessage(
        1,
        (t: OnnxValue, p) => {
          p.writeVarintField(1, elementType[t.dtype]);
          p.writeMessage(
            2,
            (dims: OnnxValue, s) => {
              for (const d of dims.shape)
                s.writeMessage(1, (size: number, q) => q.writeVarintField(1, size), d);
            },
            t,
          );
        },
        v,
      );
    },
    value,
  );
  if (doc !== undefined) w.writeStringField(3, doc);
}
