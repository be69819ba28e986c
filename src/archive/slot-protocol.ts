/** Messages between a worker and the processes in which its videos are segmented. */
import type { RuntimeOptions } from "../runtime/runtime.js";
import type { SerializedError } from "../serialize-error.js";
import type { Plan } from "./plan.js";

/** One video for a slot. */
export interface SlotRequest {
  readonly video: string;
  readonly sha256: string;
  readonly planId: string;
  readonly plan: Plan;
  /** The folder to write; it does not exist yet. */
  readonly folder: string;
  /** The model on this machine, where it lies elsewhere than the plan says. */
  readonly checkpoint: string | undefined;
  readonly runtime: RuntimeOptions;
}

/** What a slot wrote. */
export interface SlotResult {
  readonly modelDescription: string;
  readonly steps: number;
  readonly soundingSteps: number;
}

/**
 * What kind of failure it is, which decides what happens to the video.
 * - `input`: the video itself; it is not tried again.
 * - `missing`: the file is not there, on this machine at least.
 * - `environment`: the model, the disk or a program of this machine; the worker ends, and the video waits for another.
 * - `crash`, `memory`, `time`: the process ended, or was ended at a limit; the video is tried again.
 * - `unexpected`: anything else; tried again.
 */
export type FailureKind = "input" | "missing" | "environment" | "crash" | "memory" | "time" | "unexpected";

/** What a slot answers. */
export type SlotReply =
  | { readonly type: "progress"; readonly done: number; readonly total: number | undefined }
  | { readonly type: "done"; readonly result: SlotResult }
  | { readonly type: "failed"; readonly kind: FailureKind; readonly error: SerializedError };
