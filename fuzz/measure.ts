/** Reads one input and judges what came of it. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { AvsegError } from "../src/errors.js";
import { errorCode } from "../src/node/system-error.js";
import type { Failure, Limits } from "./protocol.js";
import type { Reader } from "./reader.js";
import { type Usage, UsageMeter } from "./usage.js";

/** What reading an input took, and what came of it. */
export interface Outcome extends Usage {
  /** What was thrown, in a list, or an empty list. */
  readonly thrown: readonly unknown[];
}

/** What is wrong with an outcome. */
export type Fault = Pick<Failure, "kind" | "message" | "stack">;

/** Reads `input` alone in a folder below `folder`. */
export async function readOnce(reader: Reader, input: Uint8Array, folder: string): Promise<Outcome> {
  const inside = path.join(folder, "input");
  rmSync(inside, { recursive: true, force: true });
  mkdirSync(inside, { recursive: true });
  const file = path.join(inside, reader.fileName);
  writeFileSync(file, input);
  const meter = new UsageMeter({ external: reader.external ?? false });
  const thrown = await reader.read(file).then(
    () => [],
    (error: unknown) => [error],
  );
  return { ...meter.stop(), thrown };
}

/** How `readPatiently` reads. */
export interface PatientOptions {
  readonly folder: string;
  readonly limits: Limits;
  /** Called before each further attempt. */
  readonly beat: () => Promise<void>;
}

/**
 * Reads `input`, and up to three times again where it takes too much: garbage of earlier inputs may have been in the way.
 * The smallest measurements count.
 */
export async function readPatiently(
  reader: Reader,
  input: Uint8Array,
  { folder, limits, beat }: PatientOptions,
): Promise<Outcome> {
  let outcome = await readOnce(reader, input, folder);
  for (let again = 0; again < 3; again++) {
    if (outcome.milliseconds <= limits.milliseconds && outcome.megabytes <= limits.megabytes) break;
    await beat();
    globalThis.gc?.();
    const { milliseconds, megabytes, thrown } = await readOnce(reader, input, folder);
    outcome = {
      milliseconds: Math.min(outcome.milliseconds, milliseconds),
      megabytes: Math.min(outcome.megabytes, megabytes),
      thrown,
    };
  }
  return outcome;
}

/** What is wrong with an outcome; `undefined` where the input was read, or refused as it should be. */
export function faultOf(
  { thrown: [error], milliseconds, megabytes, thrown }: Outcome,
  limits: Limits,
): Fault | undefined {
  if (thrown.length > 0 && !(error instanceof AvsegError)) return faultOfError(error);
  if (error instanceof AvsegError && error.message.length > limits.messageLength) {
    return {
      kind: "message",
      message: `a message of ${error.message.length} characters: ${error.message.slice(0, 300)} ...`,
      stack: error.stack?.slice(-3000),
    };
  }
  if (milliseconds > limits.milliseconds) {
    return { kind: "time", message: `${Math.round(milliseconds)} ms, ${limits.milliseconds} allowed` };
  }
  if (megabytes > limits.megabytes) {
    return { kind: "memory", message: `${Math.round(megabytes)} MB, ${limits.megabytes} allowed` };
  }
  return undefined;
}

/** The fault of an error that no reader may throw. */
export function faultOfError(error: unknown): Fault {
  const kind = errorCode(error) === "ERR_ACCESS_DENIED" ? "write" : "exception";
  if (!(error instanceof Error)) return { kind, message: String(error) };
  const message = `${error.name}: ${error.message}`.slice(0, 500);
  return { kind, message, stack: error.stack?.slice(0, 3000) };
}
