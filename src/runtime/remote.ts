/**
 * The caller's side of a runtime whose sessions live in a worker, since `run` of ONNX Runtime blocks its thread. Node and
 * browsers differ only in how they start a worker. Results are transferred, not copied.
 */
import { AvsegError, isOutOfMemory, OutOfMemoryError } from "../errors.js";
import { type FilePlace, placeOf } from "../file-tensor.js";
import { type ParameterData, serializeOnnx } from "../graph/index.js";
import type { OnnxValue } from "../graph/onnx/read.js";
import { deserializeError } from "../serialize-error.js";
import { describe, type Tensor } from "../tensor.js";
import { externalData, storedBytes } from "./external-data.js";
import {
  minMappedBytes,
  type WeightFile,
  type WorkerReply,
  type WorkerRequest,
  type WorkerTask,
} from "./protocol.js";
import { graphicsProviders, type Provider } from "./providers.js";
import {
  type ModelSource,
  OwnedWeights,
  type Runtime,
  type Session,
  type SessionSource,
  type StoredData,
  weightsOf,
} from "./runtime.js";

/** A started worker, as the caller sees it. */
export interface WorkerPort {
  post(request: WorkerRequest, transfer: ArrayBuffer[]): void;
  /** Called when the first call begins and the last one ends; Node keeps the process alive in between. */
  busy?(isBusy: boolean): void;
  /** Ends the worker; calls in progress may finish or be abandoned. */
  end(): void | Promise<void>;
}

/** Receives the worker's messages and its end. */
export interface WorkerListener {
  reply(reply: WorkerReply): void;
  /** The worker ended or could not start: all pending and later calls fail with this error. */
  fail(error: Error): void;
}

interface Pending {
  readonly request: WorkerTask;
  readonly resolve: (reply: WorkerReply) => void;
  readonly reject: (error: Error) => void;
}
type Send = (request: WorkerTask, transfer?: ArrayBuffer[]) => Promise<WorkerReply>;

/** How a worker differs from others. */
export interface RemoteOptions {
  /** The worker maps large files of weights into memory. Default: `false`. */
  readonly mapsFiles?: boolean | undefined;
}

/** Makes a runtime over a worker that answers requests; `connect` starts the worker. */
export function remoteRuntime(
  provider: Provider,
  connect: (listener: WorkerListener) => WorkerPort,
  { mapsFiles = false }: RemoteOptions = {},
): Runtime {
  const pending = new Map<number, Pending>();
  let failure: Error | undefined;
  let nextCall = 0;
  const fail = (error: Error): void => {
    failure ??= error;
    for (const call of pending.values()) call.reject(failure);
    pending.clear();
  };
  const port = connect({
    reply: (reply) => {
      const call = pending.get(reply.call);
      pending.delete(reply.call);
      if (pending.size === 0) port.busy?.(false);
      if (reply.error !== undefined)
        call?.reject(requestError(provider, call.request, deserializeError(reply.error)));
      else call?.resolve(reply);
    },
    fail,
  });
  const send: Send = (request, transfer = []) =>
    new Promise((resolve, reject) => {
      if (failure !== undefined) {
        reject(failure);
        return;
      }
      const call = nextCall++;
      pending.set(call, { request, resolve, reject });
      port.busy?.(true);
      port.post({ ...request, call }, transfer);
    });
  return {
    provider,
    // ONNX Runtime has them for processors, natively and in WASM, and for CUDA; its other kernels lack FusedMatMul.
    supports: { contrib: provider === "cpu" || provider === "wasm" || provider === "cuda" },
    createSession: (source) => openSession(send, source, mapsFiles),
    close: async () => {
      failure ??= new Error("runtime: the runtime is closed");
      await port.end();
      fail(failure);
    },
  };
}

/** The error of a request that failed in the worker; a failed allocation and a missing adapter get a hint. */
function requestError(provider: Provider, request: WorkerTask, cause: Error): Error {
  if (provider !== "cpu" && provider !== "wasm" && request.kind === "create") {
    const { title, needs } = graphicsProviders[provider];
    return new AvsegError(`${title}: ${problemOf(cause.message, request.name)}`, {
      hint: `It needs ${needs}; or use \`--provider cpu\`, from code the provider "cpu" ("wasm" in browsers).`,
      cause,
    });
  }
  if (!isOutOfMemory(cause)) return cause;
  return new OutOfMemoryError(`ONNX Runtime ran out of memory: ${cause.message}`, {
    hint: "Process fewer clips at a time, or free memory.",
    cause,
  });
}

/** Why a model cannot be opened on a graphics card, from ONNX Runtime's message. */
function problemOf(message: string, model: string): string {
  if (/Failed to get .*adapter/.test(message)) return "no usable graphics adapter";
  if (/Failed to load (shared )?library/.test(message)) return "its library is missing or cannot be loaded";
  return /^it is not part of/.test(message) ? message : `cannot open the ${model}: ${message}`;
}

async function openSession(
  send: Send,
  source: SessionSource | ModelSource,
  mapsFiles: boolean,
): Promise<Session> {
  const { name = "graph" } = source;
  const { model, weightFiles, folder, inputs, outputs } =
    "onnx" in source ? fromModel(source) : fromGraph(source, name, mapsFiles);
  // Bytes that were made here are transferred; those of the caller are copied.
  const transfer = "onnx" in source ? [] : [model.buffer];
  if ("onnx" in source || source.weights instanceof OwnedWeights) {
    transfer.push(...new Set(weightFiles.flatMap(({ pieces }) => pieces.map(({ data }) => data.buffer))));
  }
  const { keepIn } = source;
  const { isOptimized } = "onnx" in source ? source : {};
  const request = { kind: "create", model, weightFiles, name, folder, isOptimized, keepIn } as const;
  const { session = 0 } = await send(request, transfer);
  const all = outputs.map((o) => o.name);
  return {
    run: async (feeds, fetches = all) => {
      const picked: Record<string, Tensor> = {};
      for (const { name: key, dtype, shape } of inputs) {
        const tensor = feeds[key];
        if (tensor === undefined) throw new Error(`${name}: input "${key}" is not fed`);
        if (tensor.dtype !== dtype || tensor.shape.join() !== shape.join()) {
          throw new Error(`${name}: "${key}" is ${describe(tensor)}, expected ${dtype}[${shape}]`);
        }
        picked[key] = tensor;
      }
      return (await send({ kind: "run", session, feeds: picked, fetches })).outputs ?? {};
    },
    close: async () => {
      await send({ kind: "release", session });
    },
  };
}

interface Prepared {
  readonly model: Uint8Array<ArrayBuffer>;
  readonly weightFiles: readonly WeightFile[];
  readonly folder?: string | undefined;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

function fromModel({
  onnx: { bytes, inputs, outputs },
  weightFiles = new Map(),
  folder,
}: ModelSource): Prepared {
  const files = [...weightFiles].map(([path, data]) => ({ path, pieces: [{ offset: 0, data }] }));
  return { model: bytes, weightFiles: files, folder, inputs, outputs };
}

function bytesOf(weights: Iterable<StoredData>): number {
  let bytes = 0;
  for (const stored of weights) bytes += storedBytes(stored);
  return bytes;
}

/** Where 32-bit floats lie in a file, which can be mapped as they are. */
function mappedPlace(stored: StoredData): FilePlace | undefined {
  const place = placeOf(stored);
  return place?.halves === undefined ? place : undefined;
}

/** The folder below which weights lie in files, where the others are so few that they can be part of the model. */
function sharedFolder(weights: Iterable<StoredData>): string | undefined {
  const all = [...weights];
  const folders = new Set(all.flatMap((stored) => mappedPlace(stored)?.folder ?? []));
  const others = all.filter((stored) => !mappedPlace(stored));
  const [folder] = folders;
  return folders.size === 1 && bytesOf(others) < minMappedBytes ? folder : undefined;
}

/**
 * Large weights that lie in files as 32-bit floats are mapped from there. Others are laid out as one file, which a worker in
 * Node writes and maps into memory. Small ones, and all in browsers, are files of their own, which are passed without a copy.
 */
function fromGraph({ graph, weights }: SessionSource, name: string, mapsFiles: boolean): Prepared {
  const needed = weightsOf(graph, weights instanceof OwnedWeights ? weights.tensors : weights);
  const { inputs, outputs, parameters } = graph;
  const bytes = bytesOf(needed.values());
  if (mapsFiles && bytes >= minMappedBytes) {
    const folder = sharedFolder(needed.values());
    if (folder !== undefined) {
      const parameter = ({ name: key }: { readonly name: string }): ParameterData => {
        const stored = needed.get(key);
        return (stored && mappedPlace(stored)) ?? { bytes: stored?.data ?? new Uint8Array(0) };
      };
      return { model: serializeOnnx(graph, { name, parameter }), weightFiles: [], folder, inputs, outputs };
    }
    const path = "weights";
    const { at, pieces, moved } = externalData({ parameters, weights: needed, moves: true }, path);
    const model = serializeOnnx(graph, { name, parameter: at });
    return { model, weightFiles: [{ path, pieces, moved }], inputs, outputs };
  }
  const model = serializeOnnx(graph, {
    name,
    parameter: ({ name: key }) => {
      const length = needed.get(key)?.data.byteLength ?? 0;
      return { location: key, offset: 0, length };
    },
  });
  const weightFiles = [...needed].map(([path, { data }]): WeightFile => {
    const { buffer, byteOffset, byteLength } = data;
    return { path, pieces: [{ offset: 0, data: new Uint8Array(buffer, byteOffset, byteLength) }] };
  });
  return { model, weightFiles, inputs, outputs };
}
