/**
 * The error boundary of the command line. Commands throw; this file turns what they throw into one
 * line on stderr, a hint and an exit code: 0 success, 1 failure, 2 wrong usage, 130 interrupted.
 */
import { type Command, CommanderError } from "commander";
import { AvsegError, isOutOfMemory } from "../errors.js";
import { oneLine } from "./print.js";

/** Arguments that parse but make no sense together; reported like any usage error (exit code 2). */
export class UsageError extends AvsegError {
  override readonly name: string = "UsageError";
}

const interruption: { controller: AbortController; kept: () => string } = {
  controller: new AbortController(),
  kept: () => "",
};
let listening = false;

/**
 * A signal that aborts on Ctrl-C (or SIGTERM), for a command to pass to the library. `kept` gives the
 * sentence that says what was saved and how to continue. A second Ctrl-C ends at once. `silent` leaves out the line that
 * acknowledges the first one. A command that another process started with a channel is also interrupted by its end.
 */
export function interruptSignal(
  kept: string | (() => string) = "",
  { silent = false }: { readonly silent?: boolean | undefined } = {},
): AbortSignal {
  interruption.kept = typeof kept === "string" ? () => kept : kept;
  if (!listening) {
    listening = true;
    let isFirst = true; // also where something else has interrupted it already
    const onSignal = (name: NodeJS.Signals): void => {
      if (!isFirst) dieOf(name);
      isFirst = false;
      if (!silent) process.stderr.write("\navseg: stopping (press Ctrl-C again to stop at once)\n");
      interrupt();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
    if (process.connected) {
      process.once("disconnect", interrupt);
      process.channel?.unref(); // it does not keep a finished command alive
    }
  }
  return interruption.controller.signal;
}

/** Aborts the signal of `interruptSignal`, as Ctrl-C does. */
export function interrupt(): void {
  interruption.controller.abort(new DOMException("interrupted", "AbortError"));
}

/** Ends as the signal would by itself: `process.exit` would tear down threads in the middle of a computation. */
function dieOf(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** What is printed and returned for a failure. */
export interface Failure {
  readonly text: string;
  readonly exitCode: number;
}

/** Maps anything thrown to the lines to print and the exit code. */
export function describeFailure(error: unknown, verbose: boolean): Failure {
  const stack = verbose && error instanceof Error && error.stack ? `${stackOf(error)}\n` : "";
  if (interruption.controller.signal.aborted && isAbort(error)) {
    const kept = interruption.kept();
    return { text: `avseg: interrupted.${kept ? ` ${kept}` : ""}\n`, exitCode: 130 };
  }
  if (error instanceof AvsegError) {
    const hint = error.hint ? `hint: ${oneLine(error.hint)}\n` : "";
    return {
      text: `avseg: ${oneLine(error.message)}\n${hint}${stack}`,
      exitCode: error instanceof UsageError ? 2 : 1,
    };
  }
  if (isOutOfMemory(error)) {
    const hint = "hint: Process less at a time, e.g. with a smaller batch size, or free memory.\n";
    const reason = error instanceof Error ? error.message : String(error);
    return { text: `avseg: out of memory (${oneLine(reason)})\n${hint}${stack}`, exitCode: 1 };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const hint = verbose ? "" : "hint: this is unexpected; run again with --verbose for the stack\n";
  return { text: `avseg: ${oneLine(message)}\n${hint}${stack}`, exitCode: 1 };
}

/** A command of avseg as it can be pasted into a POSIX shell, whatever its arguments hold. */
export function commandLine(...args: readonly string[]): string {
  const quoted = args.map((arg) =>
    /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`,
  );
  return ["avseg", ...quoted].join(" ");
}

/** Prints a warning on stderr. */
export function warn(message: string): void {
  writeError(`avseg: warning: ${oneLine(message)}\n`);
}

/** Writes lines to stderr, over the progress line that may be standing on the terminal. */
export function writeError(text: string): void {
  process.stderr.write(`${process.stderr.isTTY ? "\r\x1b[K" : ""}${text}`);
}

/**
 * Parses `argv` and runs the chosen command; sets `process.exitCode` and never throws.
 * Adds `--verbose` to every command that acts.
 */
export async function runProgram(program: Command, argv: readonly string[]): Promise<void> {
  prepare(program);
  // `avseg ... | head` closes our stdout early, which is not a failure; long work stops, as nobody follows it.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") process.exitCode = 1;
    if (listening) interrupt();
  });
  try {
    await program.parseAsync(argv as string[]);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed its message already; help and version come through here with code 0.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    const failure = describeFailure(error, argv.includes("--verbose"));
    writeError(failure.text);
    process.exitCode = failure.exitCode;
  }
  // After an interruption, work that ignores the signal must not keep the process alive.
  if (interruption.controller.signal.aborted) setTimeout(() => dieOf("SIGINT"), 3000).unref();
}

/** Gives every command the same way to fail: thrown instead of exiting, worded `avseg: ...`. */
function prepare(command: Command): void {
  command.exitOverride().configureOutput({
    outputError: (text, write) => {
      // Commander puts a suggestion into brackets on a line of its own.
      const [, message, suggestion] = /^(?:error: |avseg: )?(.*?)(?:\n\((.*)\))?\s*$/s.exec(text) ?? [];
      const hint = suggestion ?? "add --help for usage and an example";
      write(`avseg: ${oneLine(message ?? text)}\nhint: ${hint}\n`);
    },
  });
  const isVerbose = (o: { long?: string | undefined }): boolean => o.long === "--verbose";
  if (command.commands.length === 0 && !command.options.some(isVerbose)) {
    command.option("--verbose", "print the stack of an error");
  }
  for (const child of command.commands) prepare(child as Command);
}

function isAbort(error: unknown): boolean {
  return (
    error === interruption.controller.signal.reason ||
    (error instanceof Error && (error.name === "AbortError" || isAbort(error.cause)))
  );
}

function stackOf(error: Error): string {
  const own = (error.stack ?? "").split("\n").map(oneLine).join("\n");
  return error.cause instanceof Error ? `${own}\ncaused by: ${stackOf(error.cause)}` : own;
}
