/** ONNX Runtime in Node: every runtime owns a worker thread. */
import { availableParallelism } from "node:os";
import { moduleUrl } from "../../node/paths.js";
import { startThread } from "../../node/thread.js";
import type { WorkerReply, WorkerRequest } from "../protocol.js";
import { nodeProviders } from "../providers.js";
import { remoteRuntime } from "../remote.js";
import type { Runtime, RuntimeOptions } from "../runtime.js";

/** Starts a runtime on onnxruntime-node with a worker thread of its own. Throws `RangeError` for another provider. */
export function nodeRuntime(options: RuntimeOptions = {}): Runtime {
  const { provider = "cpu" } = options;
  // Plain JavaScript can pass anything, and onnxruntime-node would answer with its own internals.
  if (!nodeProviders.includes(provider)) {
    throw new RangeError(
      `nodeRuntime: expected one of the providers ${nodeProviders.join(", ")}, found ${JSON.stringify(provider)}`,
    );
  }
  const { threads = availableParallelism(), spinning = true } = options;
  const url = moduleUrl("runtime/node/worker.js");
  return remoteRuntime(
    provider,
    (listener) =>
      startThread<WorkerRequest, WorkerReply>(url, {
        name: "runtime",
        workerData: { provider, threads, spinning },
        ...listener,
      }),
    { mapsFiles: true },
  );
}
