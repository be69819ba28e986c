/** ONNX Runtime in browsers, in a module worker: WebGPU where the browser has an adapter, else WASM. */
import { deserializeError } from "../../serialize-error.js";
import type { WorkerReply } from "../protocol.js";
import { remoteRuntime } from "../remote.js";
import type { Runtime } from "../runtime.js";
import type { WebWorkerFailure, WebWorkerStart } from "./worker.js";

/** How a browser runs models. */
export interface WebRuntimeOptions {
  /** Default: `webgpu` where the browser has an adapter, else `wasm`. */
  readonly provider?: "webgpu" | "wasm" | undefined;
  /**
   * WASM threads. More than one needs a page that is cross-origin isolated (headers `Cross-Origin-Opener-Policy:
   * same-origin` and `Cross-Origin-Embedder-Policy: require-corp`); other pages run one. Default: the number of
   * cores, at most 8.
   */
  readonly threads?: number | undefined;
  /** Folder of onnxruntime-web's `.wasm` files, ending in a slash. Default: where its script lies. */
  readonly wasmFolder?: string | URL | undefined;
  /** Starts the worker, for bundlers that do not find it: `() => new Worker(url, { type: "module" })`. */
  readonly createWorker?: (() => Worker) | undefined;
}

/** True where WebGPU can be used. */
async function hasWebGpu(): Promise<boolean> {
  // Neither TypeScript's DOM types nor all browsers have WebGPU.
  const gpu: unknown = Reflect.get(navigator, "gpu");
  if (typeof gpu !== "object" || gpu === null) return false;
  const request: unknown = Reflect.get(gpu, "requestAdapter");
  if (typeof request !== "function") return false;
  return Boolean(await Promise.resolve(request.call(gpu)).catch(() => undefined));
}

/** Starts a runtime on onnxruntime-web with a worker of its own. */
export async function webRuntime(options: WebRuntimeOptions = {}): Promise<Runtime> {
  const provider = options.provider ?? ((await hasWebGpu()) ? "webgpu" : "wasm");
  const threads = globalThis.crossOriginIsolated
    ? (options.threads ?? Math.min(8, navigator.hardwareConcurrency))
    : 1;
  const worker =
    options.createWorker?.() ?? new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const start: WebWorkerStart = {
    provider,
    threads,
    ...(options.wasmFolder === undefined
      ? {}
      : { wasmFolder: new URL(options.wasmFolder, globalThis.location.href).href }),
  };
  return remoteRuntime(provider, ({ reply, fail }) => {
    worker.onmessage = ({ data }: MessageEvent<WorkerReply | WebWorkerFailure>) => {
      if (!("fatal" in data)) return reply(data);
      const cause = deserializeError(data.fatal);
      fail(new Error(`onnxruntime-web did not start: ${cause.message}`, { cause }));
    };
    worker.onerror = (event) => {
      fail(new Error(`runtime: the worker could not run: ${event.message || "its script did not load"}`));
    };
    worker.postMessage(start);
    return {
      post: (request, transfer) => worker.postMessage(request, transfer),
      end: () => worker.terminate(),
    };
  });
}
