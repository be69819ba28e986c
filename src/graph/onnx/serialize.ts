/** Serializes an ONNX graph to the bytes of a `ModelProto` (field numbers from onnx.proto3, IR version 10). */
import type { PbfWriter } from "pbf";
import { elementType, storedElementType } from "./element-type.js";
import type { OnnxGraph } from "./emit.js";
import type { OnnxAttribute, OnnxNode, OnnxValue, StoredValue } from "./emitter.js";
import {
  type ExternalRange,
  joined,
  lengthPrefix,
  sizeOfPieces,
  writeExternalData,
  writePair,
  written,
} from "./protobuf.js";

const irVersion = 10;
const opsetVersion = 20;
const contribDomain = "com.microsoft";
const contribVersion = 1;

/** Protobuf's limit on one message. */
const maxModelBytes = 2 ** 31 - 1;

/** Where the data of a frozen parameter is: in the model, or in a range of a file beside it. */
export type ParameterData = { readonly bytes: ArrayBufferView<ArrayBuffer> } | ExternalRange;

/** Options of `serializeOnnx`: the parameters' data, and descriptions. */
export interface SerializeOptions {
  /** Returns the data of a parameter. Throws `Error` for an unknown one. */
  readonly parameter: (value: StoredValue) => ParameterData;
  /** Name of the graph. Default: `avseg`. */
  readonly name?: string | undefined;
  /** Documentation of the model. Default: none. */
  readonly doc?: string | undefined;
  /** Key-value metadata of the model. Default: none. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Documentation of inputs and outputs by name. Default: none. */
  readonly valueDocs?: Readonly<Record<string, string>> | undefined;
}

/** A model that is too large for one ONNX file. */
export class ModelSizeError extends RangeError {
  override readonly name = "ModelSizeError";
}

type Bytes = Uint8Array<ArrayBuffer>;

/** The bytes of the model in one array. Throws `ModelSizeError` above protobuf's limit of 2 GiB. */
export function serializeOnnx(graph: OnnxGraph, options: SerializeOptions): Uint8Array<ArrayBuffer> {
  return joined(serializePieces(graph, options));
}

/** The bytes of the model in pieces; weights are not copied. Throws `ModelSizeError` above protobuf's limit of 2 GiB. */
export function serializePieces(
  graph: OnnxGraph,
  options: SerializeOptions,
): readonly Uint8Array<ArrayBuffer>[] {
  const head = written((w) => {
    w.writeVarintField(1, irVersion);
    w.writeStringField(2, "avseg");
    if (options.doc !== undefined) w.writeStringField(6, options.doc);
  });
  const tail = written((w) => {
    w.writeMessage(8, writeOpset, { domain: "", version: opsetVersion });
    if (graph.nodes.some((n) => n.domain === contribDomain)) {
      w.writeMessage(8, writeOpset, { domain: contribDomain, version: contribVersion });
    }
    for (const [key, value] of Object.entries(options.metadata ?? {})) {
      w.writeMessage(14, writePair, { key, value });
    }
  });
  const body = [
    written((w) => writeGraph({ graph, options }, w)),
    ...[...graph.constants].flatMap(([name, { dtype, shape, data }]) =>
      tensorPieces({ name, dtype, shape }, { bytes: data }),
    ),
    ...graph.parameters.flatMap((value) => tensorPieces(value, options.parameter(value))),
  ];
  const pieces = [head, lengthPrefix(7, sizeOfPieces(body)), ...body, tail];
  if (sizeOfPieces(pieces) > maxModelBytes) {
    throw new ModelSizeError("onnx: the model is larger than 2 GiB, the limit of its format");
  }
  return pieces;
}

function writeOpset({ domain, version }: { domain: string; version: number }, w: PbfWriter): void {
  w.writeStringField(1, domain);
  w.writeVarintField(2, version);
}

/** The graph without its tensors. */
function writeGraph({ graph, options }: { graph: OnnxGraph; options: SerializeOptions }, w: PbfWriter): void {
  graph.nodes.forEach((node, i) => {
    w.writeMessage(1, writeNode, { node, name: `n${i}_${node.op}` });
  });
  w.writeStringField(2, options.name ?? "avseg");
  const described = (value: OnnxValue) => ({ value, doc: options.valueDocs?.[value.name] });
  for (const value of graph.inputs) w.writeMessage(11, writeValue, described(value));
  for (const value of graph.outputs) w.writeMessage(12, writeValue, described(value));
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

/** An input or output: its name, its type, its documentation. */
function writeValue({ value, doc }: { value: OnnxValue; doc: string | undefined }, w: PbfWriter): void {
  w.writeStringField(1, value.name);
  w.writeMessage(2, writeType, value);
  if (doc !== undefined) w.writeStringField(3, doc);
}

function writeType(value: OnnxValue, w: PbfWriter): void {
  w.writeMessage(1, writeTensorType, value);
}

function writeTensorType({ dtype, shape }: OnnxValue, w: PbfWriter): void {
  w.writeVarintField(1, elementType[dtype]);
  w.writeMessage(2, writeShape, shape);
}

function writeShape(shape: OnnxValue["shape"], w: PbfWriter): void {
  for (const size of shape) w.writeMessage(1, writeDimension, size);
}

function writeDimension(size: number, w: PbfWriter): void {
  w.writeVarintField(1, size);
}

/** An initializer of the graph: its description, then its data if the model holds it. */
function tensorPieces({ name, dtype, shape }: StoredValue, source: ParameterData): Bytes[] {
  const description = written((w) => {
    for (const d of shape) w.writeVarintField(1, d);
    w.writeVarintField(2, storedElementType[dtype]);
    w.writeStringField(8, name);
    if (!("bytes" in source)) writeExternalData(source, w);
  });
  const fields = [description];
  if ("bytes" in source) {
    const { buffer, byteOffset, byteLength } = source.bytes;
    fields.push(lengthPrefix(9, byteLength), new Uint8Array(buffer, byteOffset, byteLength));
  }
  return [lengthPrefix(5, sizeOfPieces(fields)), ...fields];
}
