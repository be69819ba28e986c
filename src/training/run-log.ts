/** The log of a run: a line of JSON per step and per epoch. */
import { type FileHandle, open, readFile } from "node:fs/promises";
import { writeFileAtomic } from "../node/files.js";
import { asOutputError } from "../node/system-error.js";

/** One line: what happened at which step. */
export interface LogLine {
  readonly kind: "step" | "epoch";
  /** Steps done. */
  readonly step: number;
  readonly [metric: string]: unknown;
}

/** An append-only file of log lines. */
export class RunLog {
  readonly #file: string;
  readonly #handle: FileHandle;

  private constructor(file: string, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  /**
   * Opens the log of a run that is at `step`: lines of later steps, which a killed run wrote after its last
   * checkpoint, are dropped, since they will be written again. Throws `OutputError`.
   */
  static async open(file: string, step: number): Promise<RunLog> {
    const kept = (await readLog(file)).filter((line) => line.step <= step && step > 0);
    await writeFileAtomic(file, kept.map((line) => `${JSON.stringify(line)}\n`).join(""));
    try {
      return new RunLog(file, await open(file, "a"));
    } catch (error) {
      throw asOutputError(error, file);
    }
  }

  /** Appends a line. Throws `OutputError`. */
  async write(line: LogLine): Promise<void> {
    try {
      await this.#handle.appendFile(`${JSON.stringify(line)}\n`);
    } catch (error) {
      throw asOutputError(error, this.#file);
    }
  }

  /** Closes the file. */
  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** Reads a log; a missing file is an empty log, and a last line that was cut short is left out. */
export async function readLog(file: string): Promise<LogLine[]> {
  return parseLog(await readFile(file, "utf8").catch(() => "")).lines;
}

/** The lines of a log, and how many could not be read; a last line that is still being written is not among those. */
export function parseLog(text: string): { readonly lines: LogLine[]; readonly damaged: number } {
  const lines: LogLine[] = [];
  let damaged = 0;
  const all = text.split("\n");
  for (const [i, line] of all.entries()) {
    const value = jsonOf(line);
    if (isLogLine(value)) lines.push(value);
    else if (line !== "" && i < all.length - 1) damaged++;
  }
  return { lines, damaged };
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isLogLine(value: unknown): value is LogLine {
  if (typeof value !== "object" || value === null || !("kind" in value) || !("step" in value)) return false;
  return (value.kind === "step" || value.kind === "epoch") && typeof value.step === "number";
}
