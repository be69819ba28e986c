/** onnxruntime-web's WASM in Node, on this thread: what browsers without WebGPU compute. */
import * as ort from "onnxruntime-web";
import { answerRequests, sessionFromMemory } from "../src/runtime/answer-requests.js";
import { sessionOptions } from "../src/runtime/ort-tensors.js";
import { remoteRuntime } from "../src/runtime/remote.js";
import type { Runtime } from "../src/runtime/runtime.js";

/** Starts a runtime of one thread. */
export function wasmRuntime(): Runtime {
  ort.env.wasm.numThreads = 1;
  const options = { ...sessionOptions("wasm", 1), executionProviders: ["wasm"] };
  return remoteRuntime("wasm", ({ reply }) => {
    const handle = answerRequests({
      ort,
      create: (request) => sessionFromMemory(ort, request, options),
      post: reply,
    });
    return {
      post: (request, transfer) => void handle(structuredClone(request, { transfer })),
      end: () => undefined,
    };
  });
}
