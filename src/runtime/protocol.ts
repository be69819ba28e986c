/** Messages between a runtime and its worker thread. */
import type { SerializedError } from "../serialize-error.js";
import type { Tensor } from "../tensor.js";
import type { MovedWeights, Piece } from "./external-data.js";
import type { Tensors } from "./runtime.js";

/** The content of a file that the model names as the place of parameters; there are zeros between the pieces. */
export interface WeightFile {
  readonly path: string;
  readonly pieces: readonly Piece[];
  /** Weights that the worker copies from other files. Default: none. */
  readonly moved?: readonly MovedWeights[] | undefined;
}

/** Weights of fewer bytes are passed in memory, also to a worker that maps files. */
export const minMappedBytes = 32 * 2 ** 20;

/** A request to the worker; its reply has the same `call`. */
export type WorkerRequest = { readonly call: number } & WorkerTask;

/** The kinds of requests. */
export type WorkerTask =
  | {
      readonly kind: "create";
      readonly model: Uint8Array<ArrayBuffer>;
      readonly weightFiles: readonly WeightFile[];
      /** See `ModelSource`. */
      readonly folder?: string | undefined;
      /** See `ModelSource`. */
      readonly isOptimized?: boolean | undefined;
      /** See `SessionSource`. */
      readonly keepIn?: string | undefined;
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
