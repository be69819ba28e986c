/** Messages between `WorkerPool` and its threads. */
import { AvsegError } from "../errors.js";
import type { ClipRequest } from "./avsbench/load-clip.js";
import type { Clip } from "./clip.js";

/** What a worker is sent. */
export interface WorkerTask {
  readonly number: number;
  readonly request: ClipRequest;
}

/** What a worker answers: the clip, or what went wrong. */
export type WorkerAnswer =
  | { readonly number: number; readonly clip: Clip }
  | {
      readonly number: number;
      readonly message: string;
      readonly hint: string | undefined;
      /** Whether a user can mend it; everything else is a bug and carries its stack. */
      readonly expected: boolean;
      readonly stack: string | undefined;
    };

/** The answer for a failure. */
export function answerFailure(number: number, error: unknown): WorkerAnswer {
  const known = error instanceof AvsegError;
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  return { number, message, hint: known ? error.hint : undefined, expected: known, stack };
}
