/** One interface over the engines that run ONNX graphs. Web and Node implement it. */
import type { EmitTarget, OnnxGraph } from "../graph/index.js";
import type { OnnxModel } from "../graph/onnx/read.js";
import type { Shape, Tensor } from "../tensor.js";

/** Tensors by name. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** How a runtime executes. */
export interface RuntimeOptions {
  /** Execution provider; `cpu` unless told. */
  readonly provider?: Provider | undefined;
  /** Threads inside one operator; the machine's cores unless told. */
  readonly threads?: number | undefined;
}

/** Weights by key: a `StateDict`, or also data of the element types that only files and kernels use. */
export type StoredWeights = ReadonlyMap<string, StoredData>;

/** Elements of one weight; the graph says of which type they are. */
export interface StoredData {
  readonly shape: Shape;
  readonly data: ArrayBufferView<ArrayBuffer>;
}

/** Weights that belong to whoever holds this: a session moves them, and the arrays are detached afterwards. */
export class OwnedWeights {
  readonly tensors: StoredWeights;

  constructor(tensors: StoredWeights) {
    this.tensors = tensors;
  }
}

/** What a session is made of. */
export interface SessionSource {
  readonly graph: OnnxGraph;
  /** Data of the graph's frozen parameters by key; more than it needs is fine. Copied, unless they are owned. */
  readonly weights: StoredWeights | OwnedWeights;
  /** Label for messages, e.g. `training step`. */
  readonly name?: string | undefined;
}

/** A model that is serialised already, e.g. by `avseg export`. */
export interface ModelSource {
  readonly onnx: OnnxModel;
  /** Contents of the files that hold its weights, by name; they are moved, and empty afterwards. */
  readonly weightFiles?: ReadonlyMap<string, Uint8Array<ArrayBuffer>> | undefined;
  /** Label for messages. */
  readonly name?: string | undefined;
}

/** A loaded graph. Calls to `run` are executed one after another, off the caller's thread. */
export interface Session {
  /** Runs the graph; fetches all outputs unless told which. Throws `Error` for a missing or misshapen feed. */
  run(feeds: Tensors, fetches?: readonly string[]): Promise<Record<string, Tensor>>;
  close(): Promise<void>;
}

/** Where operators run: ONNX Runtime's kernels for processors, for WebGPU, or for processors in WebAssembly. */
export type Provider = "cpu" | "webgpu" | "wasm";

/** An engine. Closing it closes its sessions. */
export interface Runtime {
  readonly provider: Provider;
  /** Operators beyond the ONNX standard that its kernels have; the `target` of `emitOnnx`. */
  readonly supports: EmitTarget;
  createSession(source: SessionSource | ModelSource): Promise<Session>;
  close(): Promise<void>;
}

/** Picks the parameters of `graph` out of `weights`. Throws `Error` naming those that are missing or misshapen. */
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
