/** ONNX Runtime in Node: every runtime owns a worker thread. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { remoteRuntime } from "./remote.js";
import type { Runtime, RuntimeOptions } from "./runtime.js";

/** Starts a runtime on onnxruntime-node with a worker thread of its own. */
export function nodeRuntime(options: RuntimeOptions = {}): Runtime {
  const provider = options.provider ?? "cpu";
  const threads = options.threads ?? availableParallelism();
  return remoteRuntime(provider, ({ reply, fail }) => {
    const worker = new Worker(new URL("./worker.node.js", import.meta.url), {
      workerData: { provider, threads },
    });
    worker.unref();
    worker.on("message", reply);
    worker.on("error", fail);
    worker.on("exit", (code) => fail(new Error(`runtime: the worker thread ended (code ${code})`)));
    return {
      post: (request, transfer) => worker.postMessage(request, transfer),
      // An idle worker must not keep the process alive, a busy one must.
      busy: (isBusy) => (isBusy ? worker.ref() : worker.unref()),
      terminate: async () => {
        await worker.terminate();
      },
    };
  });
}
