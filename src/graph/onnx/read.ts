/** Reads the inputs, outputs and metadata of an ONNX file. The runtime reads the graph. */
import { PbfReader } from "pbf";
import { CheckpointError } from "../../errors.js";
import type { DType } from "../../tensor.js";
import { elementType } from "./element-type.js";
import type { OnnxValue } from "./emitter.js";

export type { OnnxValue } from "./emitter.js";

/** An ONNX file in memory, with its inputs, outputs and metadata. */
export interface OnnxModel {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Names of the files beside it that hold its weights; empty where the file holds them itself. */
  readonly weightFiles: readonly string[];
}

type Reader<T> = (tag: number, result: T, pbf: PbfReader) => void;

const pair: Reader<{ key: string; value: string }> = (tag, result, pbf) => {
  if (tag === 1) result.key = pbf.readString();
  else if (tag === 2) result.value = pbf.readString();
};

const dimension: Reader<number[]> = (tag, sizes, pbf) => {
  if (tag === 1) sizes.push(pbf.readVarint());
};

interface Described {
  name: string;
  element: number;
  sizes: number[];
}

const valueInfo: Reader<Described> = (tag, value, pbf) => {
  if (tag === 1) value.name = pbf.readString();
  else if (tag === 2) pbf.readMessage(valueType, value);
};
const valueType: Reader<Described> = (tag, value, pbf) => {
  if (tag === 1) pbf.readMessage(tensorType, value);
};
const tensorType: Reader<Described> = (tag, value, pbf) => {
  if (tag === 1) value.element = pbf.readVarint();
  else if (tag === 2) {
    pbf.readMessage<Described>((dim, v, p) => {
      if (dim === 1) p.readMessage(dimension, v.sizes);
    }, value);
  }
};

interface Found {
  inputs: Described[];
  outputs: Described[];
  metadata: Record<string, string>;
  weightFiles: Set<string>;
}

const initializer: Reader<Found> = (tag, found, pbf) => {
  if (tag !== 13) return;
  const { key, value } = pbf.readMessage(pair, { key: "", value: "" });
  if (key === "location") found.weightFiles.add(value);
};

const graph: Reader<Found> = (tag, found, pbf) => {
  if (tag === 5) pbf.readMessage(initializer, found);
  const list = tag === 11 ? found.inputs : tag === 12 ? found.outputs : undefined;
  list?.push(pbf.readMessage(valueInfo, { name: "", element: 0, sizes: [] }));
};
const model: Reader<Found> = (tag, found, pbf) => {
  if (tag === 7) pbf.readMessage(graph, found);
  else if (tag === 14) {
    const { key, value } = pbf.readMessage(pair, { key: "", value: "" });
    found.metadata[key] = value;
  }
};

/** Reads an ONNX file; `name` names it in messages. Throws `CheckpointError` when it is not an ONNX model. */
export function readOnnx(bytes: Uint8Array<ArrayBuffer>, name: string): OnnxModel {
  const found: Found = { inputs: [], outputs: [], metadata: Object.create(null), weightFiles: new Set() };
  try {
    new PbfReader(bytes).readFields(model, found);
  } catch (cause) {
    throw new CheckpointError(`${name}: not an ONNX model, or a damaged file`, { cause });
  }
  if (found.inputs.length === 0 || found.outputs.length === 0) {
    throw new CheckpointError(`${name}: not an ONNX model: it has no inputs and outputs`, {
      hint: "Pass a file that `avseg export` wrote.",
    });
  }
  const checked = (value: Described) => checkedValue(value, name);
  return {
    bytes,
    inputs: found.inputs.map(checked),
    outputs: found.outputs.map(checked),
    metadata: found.metadata,
    weightFiles: [...found.weightFiles],
  };
}

const dtypes = Object.keys(elementType) as DType[];

function checkedValue({ name, element, sizes }: Described, file: string): OnnxValue {
  const dtype = dtypes.find((d) => elementType[d] === element);
  if (dtype !== undefined) return { name, dtype, shape: sizes };
  throw new CheckpointError(`${file}: "${name}" has ONNX element type ${element}, which avseg does not use`);
}
