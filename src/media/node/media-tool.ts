/**
 * Runs the system's `ffmpeg` and `ffprobe` on untrusted files: no shell, no network, no playlists that name other
 * files, a bound on the time without progress, and failures as one-line `MediaError`s.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { stat } from "node:fs/promises";
import path from "node:path";
import { Readable, Writable } from "node:stream";
import { MediaError, OutputError } from "../../errors.js";
import type { Cancellable, VideoSlice } from "../video.js";
import { OutputPipes } from "./output-pipes.js";

/** Containers that hold their own media. Playlists (HLS, DASH, concat) and image lists are not among them. */
const CONTAINERS = [
  ..."aac,ac3,aiff,amr,ape,asf,av1,avi,caf,dv,eac3,flac,flv,gif,h264,hevc,ivf,m4v,matroska,mov,mp3,mp4,mpeg".split(
    ",",
  ),
  ..."mpegts,mpegvideo,mxf,nut,obu,ogg,rm,w64,wav,webm,wtv,yuv4mpegpipe".split(","),
].join(",");

/** Longest wait for the tool without output, consumed input or a change of the output file. */
const STALL_SECONDS = 60;
/** How often a wait is looked at within that time. */
const LOOKS = 10;
const STDERR_KEPT = 8192;
/** Messages about the output. After some of them (a full disk at the very end) ffmpeg still exits with 0. */
const CANNOT_WRITE =
  /No space left|Read-only file|quota exceeded|Error (writing trailer|closing file)|_write_frame\(\)/i;

/**
 * Input arguments for a file, or a part of it: local files only, containers only; the name is never taken for an option or
 * a URL.
 */
export function inputArguments(file: string, slice?: VideoSlice): string[] {
  const guards = ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS];
  const part = slice ? ["-ss", String(slice.startSeconds)] : [];
  if (slice?.endSeconds !== undefined) part.push("-t", String(slice.endSeconds - slice.startSeconds));
  return [...guards, ...part, "-i", `file:${path.resolve(file)}`];
}

/** Input arguments for a file that is written to the tool's standard input: containers only. */
export const pipedInput = ["-protocol_whitelist", "pipe", "-format_whitelist", CONTAINERS, "-i", "pipe:0"];

/** A running tool. Every wait ends: with data, with the tool's end, on abort, or when the tool stalls. */
export interface MediaTool {
  /**
   * Pieces of what the tool writes to a file descriptor. Default: standard output. Throws when the tool fails. When all
   * its outputs have been read or left early, the tool is stopped.
   */
  output(fd?: number): AsyncGenerator<Buffer, void, undefined>;
  /**
   * Writes to an input, and waits until the bytes are written. Default: standard input. False when the tool reads no
   * further: then await `finished`.
   */
  write(bytes: Uint8Array, fd?: number): Promise<boolean>;
  /** Closes an input. Default: standard input. */
  endInput(fd?: number): void;
  /** An input, for another tool to write to; see `ToolOptions.pipes`. */
  input(fd: number): Writable;
  /** Closes all inputs and waits for the end. Throws when the tool failed. */
  finished(): Promise<void>;
  /** Kills the tool and waits until it is gone. */
  stop(): Promise<void>;
}

/** Options of `startTool`. */
export interface ToolOptions extends Cancellable {
  /** The file that is read, for messages. */
  readonly source: string;
  /** The file that is written, if any. While it changes, the tool is not stalled, however long it takes. */
  readonly output?: string | undefined;
  /** Longest time without progress, in seconds; detected a tenth later at most. Default: 60. */
  readonly stallSeconds?: number | undefined;
  /**
   * Further file descriptors, from 3 on: whether the tool reads or writes each. A stream is the input of another tool,
   * which this tool then writes to without a detour; it is closed here.
   */
  readonly pipes?: readonly ("reads" | "writes" | Writable)[] | undefined;
}

/** One line of ffmpeg's messages: the first and the last, without addresses and repeats of the path. */
function summary(stderr: string, source: string): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) =>
      line
        .replace(/^(\[[^\]]*\] )+/, "")
        .replaceAll(`file:${path.resolve(source)}`, "")
        .trim(),
    )
    .map((line) => line.replace(/^: /, ""))
    .filter((line) => line !== "");
  const ends = [...new Set([lines[0], lines.at(-1)])].filter((line) => line !== undefined);
  return ends.join("; ").slice(0, 300) || "no reason given";
}

function failure(
  { tool, code, stderr }: { readonly tool: string; readonly code: number | null; readonly stderr: string },
  options: ToolOptions,
): Error {
  const reason = summary(stderr, options.source);
  if (options.output && CANNOT_WRITE.test(stderr)) {
    return new OutputError(
      `cannot write ${options.output}: ${/No space left/.test(stderr) ? "the disk is full" : reason}`,
      {
        hint: "Free some space, or choose another folder with --out.",
      },
    );
  }
  if (/Unknown encoder/.test(stderr)) {
    return new MediaError(`${options.source}: ${reason}`, {
      hint: "This ffmpeg was built without that encoder; install a full build (e.g. `apt install ffmpeg`).",
    });
  }
  const what = /not on whitelist/i.test(stderr)
    ? "expected a video file, found a playlist, an image or a rare container"
    : `${tool} cannot read it: ${reason}${code === null ? " (killed)" : ""}`;
  return new MediaError(`${options.source}: ${what}`, {
    hint: "Check that it plays in a video player; if not, fetch or convert it again.",
  });
}

/** A started process. Its promise never rejects. */
interface Running {
  readonly child: ChildProcess;
  /** The ends of its pipes here, by file descriptor. */
  readonly inputs: ReadonlyMap<number, Writable>;
  readonly outputs: ReadonlyMap<number, Readable>;
  /** Fulfilled once it is gone, however it ended. */
  readonly gone: Promise<void>;
  /** Why it failed or was killed; `undefined` otherwise. */
  error(): Error | undefined;
  /** Kills it; without a reason this is not a failure. */
  kill(reason?: Error): void;
}

function launch(tool: string, args: readonly string[], options: ToolOptions): Running {
  const pipes = options.pipes ?? [];
  const shared = pipes.map((pipe) => (pipe instanceof Writable ? pipe : ("pipe" as const)));
  const child = spawn(tool, args, { stdio: ["pipe", "pipe", "pipe", ...shared] });
  for (const pipe of shared) if (pipe instanceof Writable) pipe.destroy();
  const inputs = new Map<number, Writable>();
  const outputs = new Map<number, Readable>();
  for (const [i, direction] of (["reads", "writes", "errors", ...pipes] as const).entries()) {
    const stream = child.stdio[i];
    if (direction === "reads" && stream instanceof Writable) inputs.set(i, stream);
    if (direction === "writes" && stream instanceof Readable) outputs.set(i, stream);
  }
  const stderr = keptText(child.stderr);
  let error: Error | undefined;
  const kill = (reason?: Error) => {
    error ??= reason;
    child.kill("SIGKILL");
  };
  const onAbort = () => {
    const reason: unknown = options.signal?.reason;
    kill(reason instanceof Error ? reason : new Error("aborted"));
  };
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const gone = new Promise<void>((resolve) => {
    child.on("error", (cause) => {
      error ??= notStarted(tool, cause);
      resolve();
    });
    child.on("close", (code) => {
      const unwritten = options.output !== undefined && CANNOT_WRITE.test(stderr());
      if (code !== 0 || unwritten) error ??= failure({ tool, code, stderr: stderr() }, options);
      resolve();
    });
  }).finally(() => options.signal?.removeEventListener("abort", onAbort));
  return { child, inputs, outputs, gone, error: () => error, kill };
}

/** Collects the head and the tail of a stream of messages: the first error and the last. */
function keptText(stream: Readable | null): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (piece: string) => {
    text = text.length < STDERR_KEPT ? text + piece : text.slice(0, STDERR_KEPT / 2) + piece.slice(-2048);
  });
  return () => text;
}

function notStarted(tool: string, cause: NodeJS.ErrnoException): MediaError {
  if (cause.code !== "ENOENT")
    return new MediaError(`${tool} cannot be started (${cause.message})`, { cause });
  return new MediaError(`${tool} is not installed, and video files cannot be read without it`, {
    hint: "Install it: `apt install ffmpeg`, `brew install ffmpeg`, or from https://ffmpeg.org/download.html.",
    cause,
  });
}

function stall(tool: string, options: ToolOptions): MediaError {
  const seconds = options.stallSeconds ?? STALL_SECONDS;
  return new MediaError(`${options.source}: ${tool} made no progress for ${seconds} s and was stopped`, {
    hint: "The file is probably damaged; convert it again from its source.",
  });
}

/** Size and modification time of the output file: while they change, there is progress. */
async function writtenSoFar({ output }: ToolOptions): Promise<string> {
  const status = output === undefined ? undefined : await stat(output).catch(() => undefined);
  return status ? `${status.size} ${status.mtimeMs}` : noFile;
}

const noFile = "no file";

/**
 * Waits for `event`; calls `onStall` once a whole stall limit passes in which the output file does not change. Looks are
 * counted instead of time, so that a process that is stopped and continued (Ctrl-Z and `fg`) does not find a stall.
 */
async function watched<T>(event: Promise<T>, options: ToolOptions, onStall: () => void): Promise<T> {
  let waiting = true;
  // Waits are many and short: the file is looked at only when one takes long.
  let before = options.output === undefined ? noFile : undefined;
  let unchanged = 0;
  const timer = setInterval(
    async () => {
      const now = await writtenSoFar(options);
      unchanged = before === now ? unchanged + 1 : 0;
      before = now;
      if (unchanged >= LOOKS && waiting) onStall();
    },
    ((options.stallSeconds ?? STALL_SECONDS) * 1000) / LOOKS,
  );
  try {
    return await event;
  } finally {
    waiting = false;
    clearInterval(timer);
  }
}

/** Starts `ffmpeg` or `ffprobe`. A tool that is missing makes the first wait throw. */
export function startTool(
  tool: "ffmpeg" | "ffprobe",
  args: readonly string[],
  options: ToolOptions,
): MediaTool {
  options.signal?.throwIfAborted();
  const common = tool === "ffmpeg" ? ["-nostdin", "-hide_banner"] : ["-hide_banner"];
  const running = launch(tool, [...common, "-v", "error", ...args], options);
  const { inputs, outputs, gone } = running;
  const pipes = new OutputPipes(outputs);
  const within = <T>(event: Promise<T>) => watched(event, options, () => running.kill(stall(tool, options)));
  const writers = new Map([...inputs].map(([fd, stream]) => [fd, inputWriter(stream, running, within)]));
  const conclude = async (): Promise<void> => {
    await within(gone);
    const error = running.error();
    if (error) throw error;
  };
  const stop = async (): Promise<void> => {
    running.kill();
    pipes.destroy(); // unread output would keep the tool's end from being noticed
    await gone;
  };
  const open = new Set(outputs.keys());
  return {
    async *output(fd = 1) {
      try {
        for (;;) {
          const chunk = pipes.take(fd) ?? (await within(pipes.next(fd)));
          if (chunk === undefined) break;
          yield chunk;
        }
        // The other pipes are read meanwhile, or the tool could not end.
        await pipes.readDuring(conclude());
      } finally {
        open.delete(fd);
        pipes.discard(fd);
        if (open.size === 0) await stop();
      }
    },
    async write(bytes, fd = 0) {
      const writer = writers.get(fd);
      if (!writer) throw new RangeError(`input ${fd}: the tool does not read it`);
      return writer(bytes);
    },
    endInput(fd = 0) {
      inputs.get(fd)?.end();
    },
    input(fd) {
      const stream = inputs.get(fd);
      if (!stream) throw new RangeError(`input ${fd}: the tool does not read it`);
      return stream;
    },
    async finished() {
      for (const input of inputs.values()) input.end();
      pipes.drain();
      await conclude();
    },
    stop,
  };
}

/** A function that writes to a pipe, within bounds; false when nobody reads any further. */
function inputWriter(
  stream: Writable,
  { child, gone, error }: Running,
  within: (event: Promise<void>) => Promise<void>,
): (bytes: Uint8Array) => Promise<boolean> {
  stream.on("error", () => {}); // A tool that has read enough closes its end: then writing returns false.
  const reads = () => !stream.destroyed && child.exitCode === null && !error();
  return async (bytes) => {
    if (!reads()) return false;
    const written = new Promise<void>((resolve) => {
      stream.write(bytes, () => resolve());
    });
    await within(Promise.race([written, gone]));
    return reads();
  };
}
