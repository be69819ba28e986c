/** Runs a command of avseg in a process of its own, so that it can be stopped and fail without the server. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import os from "node:os";
import { AvsegError } from "../../errors.js";
import { packagePath } from "../../node/paths.js";

/** The end of what a command wrote to stderr is kept. */
const keptChars = 8192;
/** The page and the video that plays in it come first. */
const niceness = 5;
/** A command that is closed has this long to save its state. */
const graceMs = 5000;

/** A running command. */
export interface ChildCommand {
  /** Resolves when it has succeeded. Throws `AvsegError` with its message and hint when it failed. */
  readonly finished: Promise<void>;
  /** Lets it save its state and end. */
  interrupt(): void;
  /** Lets it save its state and ends it after five seconds at the latest. */
  close(): Promise<void>;
}

/**
 * Starts `avseg ...args`. The command ends with this process, too: it watches the channel between the two (see
 * `interruptSignal`). A signal would not do, as a terminal sends Ctrl-C to both, and the second one ends at once.
 */
export function startCommand(args: readonly string[]): ChildCommand {
  const main = packagePath("dist", "src", "cli", "main.js");
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let text = "";
  const { stderr } = child;
  stderr?.setEncoding("utf8").on("data", (piece: string) => {
    text = (text + piece).slice(-keptChars);
  });
  // A child whose channel was closed emits no "close".
  const ended = Promise.all([once(child, "exit"), stderr && once(stderr, "close")]);
  if (child.pid !== undefined) {
    try {
      os.setPriority(child.pid, niceness);
    } catch {
      // It has ended already, or the system does not allow it.
    }
  }
  const finished = ended.then(([[code]]) => {
    if (code !== 0) throw failureOf(text, args[0] ?? "");
  });
  finished.catch(() => undefined); // whoever awaits it gets the failure
  const interrupt = (): void => {
    if (child.connected) child.disconnect();
  };
  return {
    finished,
    interrupt,
    async close() {
      interrupt();
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await ended.catch(() => undefined);
      clearTimeout(timer);
    },
  };
}

/** The last message of a command line program of avseg. */
function failureOf(text: string, name: string): AvsegError {
  const lines = text.split(/[\r\n]+/);
  const message = lines.findLast((line) => /^avseg: (?!warning:)/.test(line))?.slice("avseg: ".length);
  const hint = lines.findLast((line) => line.startsWith("hint: "))?.slice("hint: ".length);
  return new AvsegError(message ?? `avseg ${name} ended without a message`, { hint });
}
