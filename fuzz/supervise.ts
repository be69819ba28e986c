/** Runs reading processes over ranges of inputs: restarts them after failures, ends those that hang. */
import { type ChildProcess, fork } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Failure, Job, Limits, Message, Statistics } from "./protocol.js";

/** What one input may take. */
const defaultLimits: Limits = { milliseconds: 2000, megabytes: 300, messageLength: 5000 };

/** Inputs per process, so that what one leaves behind in memory does not reach all. */
const inputsPerProcess = 1000;

/** A reader with so many failures is left. */
const maxFailures = 10;

/** What is read. */
export interface Plan {
  readonly reader: string;
  readonly seed: number;
  readonly first: number;
  readonly last: number;
  /** Stops early at this time (`performance.now()`). */
  readonly until?: number | undefined;
  /** One input in a file instead. */
  readonly file?: string | undefined;
  /** Default: 2 s, 300 MB, messages of 5000 characters. */
  readonly limits?: Limits | undefined;
  /** A process that says nothing for so long hangs. Default: 15 s. */
  readonly hangMilliseconds?: number | undefined;
  /** Address of the module that exports `readers`. */
  readonly readersModule: string;
  /** Where inputs that fail are kept. */
  readonly failuresDir: string;
}

/** A failure with the file that its input was saved to. */
export interface SavedFailure extends Failure {
  readonly file: string;
}

/** How a reader did. */
export interface Report extends Statistics {
  readonly reader: string;
  readonly failures: readonly SavedFailure[];
}

/** Reads what `plan` says, until it is done or the time is over. */
export async function superviseReader(plan: Plan): Promise<Report> {
  const failures: SavedFailure[] = [];
  let total: Statistics = { read: 0, accepted: 0, maxMilliseconds: 0, maxMegabytes: 0 };
  let first = plan.first;
  const inTime = () => total.read === 0 || (plan.until ?? Infinity) > performance.now();
  while (first < plan.last && failures.length < maxFailures && inTime()) {
    const last = Math.min(plan.last, first + inputsPerProcess);
    const { next, statistics, failure } = await runProcess({ ...plan, first, last });
    total = {
      read: total.read + statistics.read,
      accepted: total.accepted + statistics.accepted,
      maxMilliseconds: Math.max(total.maxMilliseconds, statistics.maxMilliseconds),
      maxMegabytes: Math.max(total.maxMegabytes, statistics.maxMegabytes),
    };
    if (failure !== undefined) failures.push(failure);
    first = next;
  }
  return { reader: plan.reader, failures, ...total };
}

interface ProcessResult {
  /** The first input that was not read. */
  readonly next: number;
  readonly statistics: Statistics;
  readonly failure?: SavedFailure | undefined;
}

/** Runs one process in a folder of its own, and looks whether it wrote elsewhere. */
async function runProcess(plan: Plan): Promise<ProcessResult> {
  const outside = mkdtempSync(path.join(realpathSync(os.tmpdir()), "avseg-fuzz-"));
  const folder = path.join(outside, "inside");
  mkdirSync(folder);
  try {
    const { next, statistics, failure } = await readInputs(plan, folder);
    // Node's own writes are refused; this looks for those of native code and of other processes.
    const written = readdirSync(outside).filter((name) => name !== "inside");
    const message = `wrote ${written.join(", ")} beside its folder`;
    const found: Failure | undefined =
      failure ??
      (written.length > 0 ? { reader: plan.reader, index: next - 1, kind: "write", message } : undefined);
    return { next, statistics, failure: found && { ...found, file: save(found, folder, plan) } };
  } finally {
    rmSync(outside, { recursive: true, force: true });
  }
}

/** Keeps the input of a failure; a process stops at its first one, so that it is still there. */
function save({ reader, index, kind }: Failure, folder: string, { failuresDir, seed }: Plan): string {
  const [name] = existsSync(path.join(folder, "input")) ? readdirSync(path.join(folder, "input")) : [];
  const target = path.join(failuresDir, `${reader}-${seed}-${index}-${kind}${path.extname(name ?? "")}`);
  mkdirSync(failuresDir, { recursive: true });
  if (name !== undefined) copyFileSync(path.join(folder, "input", name), target);
  return target;
}

/** What a process read, and its failure before that is saved. */
type Reading = Omit<ProcessResult, "failure"> & { readonly failure?: Failure | undefined };

function readInputs(plan: Plan, folder: string): Promise<Reading> {
  const { reader, hangMilliseconds = 15_000 } = plan;
  const child = start(plan, folder);
  let index = plan.first;
  let statistics: Statistics = { read: 0, accepted: 0, maxMilliseconds: 0, maxMegabytes: 0 };
  let failure: Failure | undefined;
  let stopped: "hang" | "over" | undefined;
  let ready = false;
  const stop = (why: "hang" | "over") => {
    stopped ??= why;
    endGroup(child);
  };
  let watchdog = setTimeout(stop, 4 * hangMilliseconds, "hang"); // the first word follows the valid inputs
  return new Promise((resolve, reject) => {
    child.on("message", (message: Message) => {
      clearTimeout(watchdog);
      watchdog = setTimeout(stop, hangMilliseconds, "hang");
      if (message.kind === "failure") failure ??= message.failure;
      else statistics = message.statistics;
      if (message.kind === "next") {
        ready = true;
        index = message.index;
        // At least one input is read, however long its making took.
        if (statistics.read > 0 && (plan.until ?? Infinity) <= performance.now()) stop("over");
      }
      if (message.kind === "done") index = plan.last;
    });
    child.on("error", reject);
    const ended = new Promise<void>((done) => child.once("exit", () => done()));
    const silent = new Promise<void>((done) => child.once("disconnect", () => done()));
    // Messages may still arrive after the process has ended.
    void Promise.all([ended, silent]).then(() => {
      clearTimeout(watchdog);
      endGroup(child); // and what it started
      const end = child.signalCode ?? child.exitCode;
      const done = (result: Omit<Reading, "statistics">) => resolve({ statistics, ...result });
      if (failure !== undefined) done({ next: index + 1, failure });
      else if (index === plan.last || stopped === "over") done({ next: index });
      else if (!ready) reject(new Error(`${reader}: the reading process did not start (${end}); see above`));
      else if (stopped === "hang") {
        const message = `no answer within ${hangMilliseconds / 1000} s`;
        done({ next: index + 1, failure: { reader, index, kind: "hang", message } });
      } else {
        const message = `the process ended (${end})`;
        done({ next: index + 1, failure: { reader, index, kind: "crash", message } });
      }
    });
  });
}

function start(
  { readersModule, limits = defaultLimits, reader, seed, first, last, file }: Plan,
  folder: string,
): ChildProcess {
  const flags = process.allowedNodeEnvironmentFlags;
  const permission = flags.has("--permission") ? "--permission" : "--experimental-permission";
  const script = path.join(import.meta.dirname, "read-inputs.js");
  const job: Job = { reader, seed, first, last, file, folder, limits };
  return fork(script, [JSON.stringify(job), readersModule], {
    cwd: folder,
    detached: true, // a group of its own, so that what it starts can be ended with it
    env: { ...process.env, HOME: folder, TMPDIR: folder, XDG_CACHE_HOME: folder, AVSEG_CACHE: folder },
    execArgv: [
      ...["--expose-gc", "--enable-source-maps", "--no-warnings", permission, "--allow-fs-read=*"],
      ...[`--allow-fs-write=${folder}/*`, "--allow-fs-write=/proc/self/clear_refs"],
      ...["--allow-addons", "--allow-worker", "--allow-child-process"],
    ],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}
