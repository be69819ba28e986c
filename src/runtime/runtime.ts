/** The interface of runtimes, which run ONNX graphs in Node and in browsers. */
import type { EmitTarget, OnnxGraph } from "../graph/index.js";
import type { OnnxModel } from "../graph/onnx/read.js";
import type { Shape, Tensor } from "../tensor.js";
import type { NodeProvider, Provider } from "./providers.js";

/** Tensors by name. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** How a runtime executes. */
export interface RuntimeOptions {
  /** Default: `cpu`. */
  readonly provider?: NodeProvider | undefined;
  /** Threads inside one operator. Default: the number of cores. */
  readonly threads?: number | undefined;
  /**
   * Whether threads that wait keep looking for work: a little faster on idle cores, slower beside other work such as a
   * video's decoder. Default: true.
   */
  readonly spinning?: boolean | undefined;
}

/** Weights by key: a `StateDict`, or data of the element types that only files and kernels have. */
export type StoredWeights = ReadonlyMap<string, StoredData>;

/** The elements of one weight; the graph has their type. */
export interface StoredData {
  readonly shape: Shape;
  readonly data: ArrayBufferView<ArrayBuffer>;
}

/** Weights whose ownership is transferred: a session moves them, and the arrays are detached afterwards. */
export class OwnedWeights {
  readonly tensors: StoredWeights;

  constructor(tensors: StoredWeights) {
    this.tensors = tensors;
  }
}

/** A graph and its weights, to make a session of. */
export interface SessionSource {
  readonly graph: OnnxGraph;
  /** Data of the graph's frozen parameters by key; others are ignored. They are copied; `OwnedWeights` are moved. */
  readonly weights: StoredWeights | OwnedWeights;
  /** Label for messages, e.g. `training step`. */
  readonly name?: string | undefined;
  /**
   * Node: a new folder, which exists, for the model as ONNX Runtime has optimized it for this processor (`optimizedFiles`).
   * What cannot be written there is left out. Default: none.
   */
  readonly keepIn?: string | undefined;
}

/** The files of an optimized model: the graph, and its weights, which are to be mapped into memory. */
export const optimizedFiles = { model: "model.onnx", weights: "weights" } as const;

/** A serialized model, e.g. of `avseg export`. */
export interface ModelSource {
  readonly onnx: OnnxModel;
  /** Contents of the files that hold its weights, by name; they are moved, and detached afterwards. */
  readonly weightFiles?: ReadonlyMap<string, Uint8Array<ArrayBuffer>> | undefined;
  /** Node: the folder of the files that hold its weights, which are mapped into memory. */
  readonly folder?: string | undefined;
  /** The model was optimized for this processor by this version of ONNX Runtime: it is run as it is. Default: false. */
  readonly isOptimized?: boolean | undefined;
  /** See `SessionSource`. */
  readonly keepIn?: string | undefined;
  /** Label for messages. */
  readonly name?: string | undefined;
}

/** A loaded graph. Calls of `run` are executed one after another, outside the caller's thread. */
export interface Session {
  /** Runs the graph. Default of `fetches`: all outputs. Throws `Error` for an input that is missing or has another type. */
  run(feeds: Tensors, fetches?: readonly string[]): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

/** An engine. Closing it closes its sessions. */
export interface Runtime {
  readonly provider: Provider;
  /** Operators beyond the ONNX standard that its kernels have; the `target` of `emitOnnx`. */
  readonly supports: EmitTarget;
  createSession(source: SessionSource | ModelSource): Promise<Session>;
  close(): Promise<void>;
}

/** The weights that `graph` needs. Throws `Error` naming those that are missing or have another shape. */
export function weightsOf(graph: OnnxGraph, weights: StoredWeights): Map<string, StoredData> {
  const picked = new Map<string, StoredData>();
  const missing: string[] = [];
  for (const { name, shape } of graph.parameters) {
    const tensor = weights.get(name);
    if (tensor === undefined) missing.push(name);
    else if (tensor.shape.join() !== shape.join()) {
      throw new Error(`weights: "${name}" is [${tensor.shape}], the model needs [${shape}]`);
    } else picked.set(name, tensor);
  }
  if (missing.length > 0) {
    throw new Error(`weights: ${missing.length} parameters have no data: ${missing.slice(0, 5).join(", ")}`);
  }
  return picked;
}
