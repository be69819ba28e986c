/** Messages between `WorkerPool` and its threads. */
import type { SerializedError } from "../serialize-error.js";
import type { ClipRequest } from "./avsbench/clip-request.js";
import type { Clip } from "./clip.js";

/** A request to decode one clip. */
export interface WorkerTask {
  readonly number: number;
  readonly request: ClipRequest;
}

/** The answer to the task of the same number: the clip, or why it cannot be decoded. */
export type WorkerAnswer =
  | { readonly number: number; readonly clip: Clip }
  | { readonly number: number; readonly error: SerializedError };
