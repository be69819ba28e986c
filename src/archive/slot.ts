/** A slot of a worker: a process of its own that segments one video at a time, within limits of memory and time. */
import { type ChildProcess, fork } from "node:child_process";
import { AvsegError } from "../errors.js";
import { moduleUrl } from "../node/paths.js";
import { deserializeError } from "../serialize-error.js";
import { residentBytes } from "./memory-use.js";
import { REDIS_URL_VARIABLE } from "./server.js";
import type { FailureKind, SlotReply, SlotRequest, SlotResult } from "./slot-protocol.js";

/** What one video may take. */
export interface SlotLimits {
  /** Resident memory of the process and its decoders. */
  readonly memoryBytes: number;
  readonly seconds: number;
}

/** A video that was not segmented, and why. */
export class SlotFailure extends Error {
  override readonly name: string = "SlotFailure";
  readonly kind: FailureKind;
  /** What to do about it. */
  readonly hint: string | undefined;

  constructor(
    kind: FailureKind,
    message: string,
    options: { hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.hint = options.hint;
  }
}

/** What a slot did with a video. */
export interface SlotRun extends SlotResult {
  readonly peakMemoryBytes: number;
  readonly seconds: number;
}

/** Something that segments one video at a time: `Slot`, or, to measure the queue alone, something that takes its place. */
export type VideoSlot = Pick<Slot, "run" | "close">;

/** Memory is measured this often, in milliseconds: what grows within one interval is not bounded. */
const sampleMs = 250;
const stderrKept = 2000;

interface Running {
  readonly child: ChildProcess;
  readonly stderr: () => string;
}

/** One slot. Its process starts with the first video and is replaced after a failure that ended it. */
export class Slot {
  readonly #limits: SlotLimits;
  #running: Running | undefined;

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  /** Segments a video into the folder of the request. Throws `SlotFailure`. */
  async run(
    request: SlotRequest,
    onProgress?: (done: number, total: number | undefined) => void,
  ): Promise<SlotRun> {
    this.#running ??= start();
    const { child, stderr } = this.#running;
    const started = performance.now();
    const ended: { limit?: SlotFailure } = {};
    let peak = 0;
    const endAt = (failure: SlotFailure): void => {
      ended.limit ??= failure;
      kill(child);
    };
    const sampling = setInterval(async () => {
      const bytes = child.pid === undefined ? 0 : await residentBytes(child.pid);
      peak = Math.max(peak, bytes);
      if (bytes > this.#limits.memoryBytes) endAt(memoryFailure(request.video, bytes, this.#limits));
    }, sampleMs);
    const deadline = setTimeout(
      () => endAt(timeFailure(request.video, this.#limits)),
      Math.min(this.#limits.seconds * 1000, 2 ** 31 - 1),
    );
    try {
      const result = await answerOf(child, request, onProgress, () => {
        this.#running = undefined;
        return ended.limit ?? crashFailure(request.video, child, stderr());
      });
      return { ...result, peakMemoryBytes: peak, seconds: (performance.now() - started) / 1000 };
    } finally {
      clearInterval(sampling);
      clearTimeout(deadline);
    }
  }

  /** Ends the process, with whatever it is doing. */
  async close(): Promise<void> {
    const child = this.#running?.child;
    this.#running = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    kill(child);
    await gone;
  }
}

function start(): Running {
  const { [REDIS_URL_VARIABLE]: _address, ...env } = process.env;
  const child = fork(moduleUrl("archive/slot-process.js"), [], {
    env,
    // A group of its own: signals of the terminal go to the worker, which lets videos finish.
    detached: process.platform !== "win32",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
    text = (text + piece).slice(-stderrKept);
  });
  return { child, stderr: () => text };
}

/** Ends a slot's process with its decoders. */
function kill(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(process.platform === "win32" ? child.pid : -child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL"); // it has not made its group yet, or has ended
  }
}

/** Sends a request and waits for its answer, or for the end of the process. */
function answerOf(
  child: ChildProcess,
  request: SlotRequest,
  onProgress: ((done: number, total: number | undefined) => void) | undefined,
  onEnd: () => SlotFailure,
): Promise<SlotResult> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      child.off("message", onMessage).off("exit", onExit).off("error", onExit);
      act();
    };
    const onExit = (): void => settle(() => reject(onEnd()));
    const onMessage = (reply: SlotReply): void => {
      if (reply.type === "progress") onProgress?.(reply.done, reply.total);
      else if (reply.type === "done") settle(() => resolve(reply.result));
      else settle(() => reject(reported(reply)));
    };
    child.on("message", onMessage).once("exit", onExit).once("error", onExit);
    child.send(request, (error) => {
      if (error) onExit();
    });
  });
}

function reported({ kind, error: data }: Extract<SlotReply, { type: "failed" }>): SlotFailure {
  const cause = deserializeError(data);
  const hint = kind === "missing" ? missingHint : cause instanceof AvsegError ? cause.hint : undefined;
  return new SlotFailure(kind, cause.message, { hint, cause });
}

const missingHint =
  "Check that the path is the same on the machines of all workers; if the file moved, add it again with `avseg archive add`.";

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

function memoryFailure(video: string, bytes: number, limits: SlotLimits): SlotFailure {
  return new SlotFailure(
    "memory",
    `${video}: took ${gigabytes(bytes)} of memory, more than the limit of ${gigabytes(limits.memoryBytes)}, and was stopped`,
    {
      hint: "Raise --max-memory or lower --concurrency of `avseg archive work`, then run `avseg archive retry`.",
    },
  );
}

function timeFailure(video: string, { seconds }: SlotLimits): SlotFailure {
  return new SlotFailure("time", `${video}: took longer than ${seconds} s and was stopped`, {
    hint: "Raise --max-minutes of `avseg archive work`, then run `avseg archive retry`.",
  });
}

function crashFailure(video: string, { exitCode, signalCode }: ChildProcess, stderr: string): SlotFailure {
  const how = signalCode ?? (exitCode === null ? "it did not start" : `exit code ${exitCode}`);
  const last = stderr.trim().split("\n").at(-1);
  return new SlotFailure(
    "crash",
    `${video}: the process that segmented it crashed (${how})${last ? `: ${last}` : ""}`,
    {
      hint: "Check the memory of the machine and that the video plays; then run `avseg archive retry`.",
    },
  );
}
