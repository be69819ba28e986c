/** The worker that owns onnxruntime-web's sessions. Its first message has the options; the others are requests. */
import { type SerializedError, serializeError } from "../../serialize-error.js";
import { answerRequests, sessionFromMemory } from "../answer-requests.js";
import { sessionOptions } from "../ort-tensors.js";
import type { WorkerRequest } from "../protocol.js";

/** The first message to the worker. */
export interface WebWorkerStart {
  readonly provider: "webgpu" | "wasm";
  readonly threads: number;
  readonly wasmFolder?: string | undefined;
}

/** The worker's only message when onnxruntime-web does not start. */
export interface WebWorkerFailure {
  readonly fatal: SerializedError;
}

type Handler = ReturnType<typeof answerRequests>;

async function start({ provider, threads, wasmFolder }: WebWorkerStart): Promise<Handler> {
  // The WASM of the build with WebGPU can suspend anywhere, which makes it twice as large and slower.
  const ort = await (provider === "webgpu"
    ? import("onnxruntime-web/webgpu")
    : import("onnxruntime-web/wasm"));
  ort.env.wasm.numThreads = threads;
  if (wasmFolder !== undefined) ort.env.wasm.wasmPaths = wasmFolder;
  const options = {
    ...sessionOptions(provider, threads),
    executionProviders: provider === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
  };
  return answerRequests({
    ort,
    create: (request) => sessionFromMemory(ort, request, options),
    post: (reply, transfer) => postMessage(reply, { transfer }),
  });
}

let handler: Promise<Handler> | undefined;
addEventListener("message", ({ data }: MessageEvent<WebWorkerStart | WorkerRequest>) => {
  if ("kind" in data) {
    void handler?.then((handle) => handle(data));
    return;
  }
  handler = start(data);
  handler.catch((error: unknown) => {
    postMessage({ fatal: serializeError(error) } satisfies WebWorkerFailure);
  });
});
