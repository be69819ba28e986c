/** Messages between a runtime and its worker thread. */
import type { SerializedError } from "../serialize-error.js";
import type { Tensor } from "../tensor.js";
import type { Tensors } from "./runtime.js";

/** The data of a parameter, by the location that the model names. */
export interface ExternalData {
  readonly path: string;
  readonly data: ArrayBufferView<ArrayBuffer>;
}

/** A request to the worker; its reply has the same `call`. */
export type WorkerRequest = { readonly call: number } & WorkerTask;

/** The kinds of requests. */
export type WorkerTask =
  | {
      readonly kind: "create";
      readonly model: Uint8Array<ArrayBuffer>;
      readonly external: readonly ExternalData[];
      readonly name: string;
    }
  | {
      readonly kind: "run";
      readonly session: number;
      readonly feeds: Tensors;
      readonly fetches: readonly string[];
    }
  | { readonly kind: "release"; readonly session: number };

/** The worker's answer to the call of the same number. */
export interface WorkerReply {
  readonly call: number;
  readonly error?: SerializedError | undefined;
  readonly session?: number | undefined;
  readonly outputs?: Record<string, Tensor> | undefined;
}
