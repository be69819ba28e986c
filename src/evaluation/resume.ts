/** Evaluations that can be resumed after an interruption. */

import { readFile, rm } from "node:fs/promises";
import * as z from "zod";
import type { Clip } from "../datasets/clip.js";
import { writeFileAtomic } from "../node/files.js";
import { sha256Of } from "../node/sha256.js";
import { asOutputError } from "../node/system-error.js";
import {
  type EvaluateClipsOptions,
  type EvaluationState,
  evaluateClips,
  evaluationStateSchema,
} from "./evaluate-clips.js";
import type { EvaluationResult } from "./result.js";

/** Options of `evaluateResumable`: those of `evaluateClips`, but the clips can start anywhere. */
export interface ResumableOptions extends Omit<EvaluateClipsOptions, "clips" | "resumeFrom" | "onState"> {
  /** The clips from index `first` on, in the dataset's order. */
  readonly clipsFrom: (first: number) => AsyncIterable<readonly Clip[]>;
  /** Where the state is kept until the evaluation ends. */
  readonly stateFile: string;
  /** What the result depends on (`fingerprintOf`): a state with a different fingerprint is not resumed. */
  readonly fingerprint: string;
  /** The lock of the state's folder, checked before the state is written. */
  readonly lock?: { assertHeld(): Promise<void> } | undefined;
  /** Keeps the state at the end, so that repeating the evaluation yields its result at once. Default: false. */
  readonly keepState?: boolean | undefined;
  /** Called with the number of clips that an interrupted run had scored. */
  readonly onResume?: ((clips: number) => void) | undefined;
}

/**
 * Evaluates as `evaluateClips` does, keeping the state in a file; when called again after an interruption it
 * continues from there and ends with the same result. The file is removed at the end, unless `keepState`. Throws what
 * `evaluateClips` throws, and `OutputError` when the state cannot be written.
 */
export async function evaluateResumable(options: ResumableOptions): Promise<EvaluationResult> {
  const { clipsFrom, stateFile, fingerprint, lock, keepState, onResume, ...rest } = options;
  const resumeFrom = await loadState(stateFile, fingerprint);
  if (resumeFrom) onResume?.(resumeFrom.clips);
  const result = await evaluateClips({
    ...rest,
    resumeFrom,
    clips: clipsFrom(resumeFrom?.clips ?? 0),
    onState: async (state) => {
      await lock?.assertHeld();
      await saveState(stateFile, fingerprint, state);
    },
  });
  if (!keepState) await removeState(stateFile);
  return result;
}

/** Removes a kept state. Throws `OutputError`. */
export async function removeState(stateFile: string): Promise<void> {
  await rm(stateFile, { force: true, recursive: true }).catch((error: unknown) => {
    throw asOutputError(error, stateFile);
  });
}

/**
 * Hash of plain data: the checkpoint's hash, the clips' names, the batch size and all else that decides a
 * result.
 */
export function fingerprintOf(parts: Readonly<Record<string, unknown>>): string {
  return sha256Of(JSON.stringify(parts));
}

/** The state as text, so that damage is noticed before it is parsed. */
const savedSchema = z.object({ fingerprint: z.string(), sha256: z.string(), state: z.string() });

async function saveState(file: string, fingerprint: string, state: EvaluationState): Promise<void> {
  const text = JSON.stringify(state);
  await writeFileAtomic(file, JSON.stringify({ fingerprint, sha256: sha256Of(text), state: text }));
}

/** The state in `file`; `undefined` when it is missing, damaged or belongs to another evaluation. */
async function loadState(file: string, fingerprint: string): Promise<EvaluationState | undefined> {
  try {
    const { data: saved } = savedSchema.safeParse(JSON.parse(await readFile(file, "utf8")));
    if (saved?.fingerprint !== fingerprint || saved.sha256 !== sha256Of(saved.state)) return undefined;
    return evaluationStateSchema.safeParse(JSON.parse(saved.state)).data;
  } catch {
    return undefined;
  }
}
