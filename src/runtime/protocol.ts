/** Messages between a runtime and its worker thread. */
import type { SerializedError } from "../serialize-error.js";
import type { Tensor } from "../tensor.js";
import type { Tensors } from "./runtime.js";

/** A parameter's data by the location the model names. */
export interface ExternalData {
  readonly path: string;
  readonly data: ArrayBufferView<ArrayBuffer>;
}

/** What a runtime asks of its worker; replies name the call. */
export type WorkerRequest = { readonly call: number } & WorkerTask;

/** What there is to ask. */
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
