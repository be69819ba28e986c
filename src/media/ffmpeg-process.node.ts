/**
 * Runs the system's `ffmpeg` and `ffprobe` on files from strangers: no shell, no network, no playlists that name
 * other files, a bound on how long a parser may stay silent, and failures as one-line `MediaError`s.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import path from "node:path";
import { MediaError, OutputError } from "../errors.js";
import type { Cancellable } from "./video.js";

/** Containers that hold their own media. Playlists (HLS, DASH, concat) and image lists are not among them. */
const CONTAINERS = [
  ..."aac,ac3,aiff,amr,ape,asf,av1,avi,caf,dv,eac3,flac,flv,gif,h264,hevc,ivf,m4v,matroska,mov,mp3,mp4,mpeg".split(
    ",",
  ),
  ..."mpegts,mpegvideo,mxf,nut,obu,ogg,rm,w64,wav,webm,wtv,yuv4mpegpipe".split(","),
].join(",");

/** Longest time without any output or consumption while nothing else is being waited for. */
const STALL_SECONDS = 60;
const STDERR_KEPT = 8192;
/** Complaints about the output. After some of them (a full disk at the very end) ffmpeg still exits with 0. */
const CANNOT_WRITE =
  /No space left|Read-only file|quota exceeded|Error (writing trailer|closing file)|_write_frame\(\)/i;

/** Input arguments for a file: local files only, containers only; the name can be no option and no URL. */
export function inputArguments(file: string): string[] {
  const guards = ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS];
  return [...guards, "-i", `file:${path.resolve(file)}`];
}

/** A running tool. Every wait ends: with data, with the tool's end, on abort, or when the tool stalls. */
export interface MediaTool {
  /** Pieces of standard output; returning early stops the tool. Throws when the tool fails. */
  output(): AsyncGenerator<Buffer, void, undefined>;
  /** Writes to standard input. False when the tool reads no further: then await `finished`. */
  write(bytes: Uint8Array): Promise<boolean>;
  /** Closes standard input and waits for the end. Throws when the tool failed. */
  finished(): Promise<void>;
  /** Ends the tool at once, whatever it is doing, and waits until it is gone. */
  stop(): Promise<void>;
}

/** What a tool works on, for messages. */
export interface ToolOptions extends Cancellable {
  /** The file that is read. */
  readonly source: string;
  /** The file that is written, if any. */
  readonly output?: string;
  readonly stallSeconds?: number;
}

/** One line out of ffmpeg's complaints: the first and the last, without addresses and repeats of the path. */
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

function failure(tool: string, code: number | null, stderr: string, options: ToolOptions): Error {
  const reason = summary(stderr, options.source);
  if (options.output && CANNOT_WRITE.test(stderr)) {
    return new OutputError(
      `cannot write ${options.output}: ${/No space left/.test(stderr) ? "the disk is full" : reason}`,
      {
        hint: "free some space, or choose another folder",
      },
    );
  }
  if (/Unknown encoder/.test(stderr)) {
    return new MediaError(`${options.source}: ${reason}`, {
      hint: "This ffmpeg was built without H.264; install a full build (e.g. `apt install ffmpeg`).",
    });
  }
  const what = /not on whitelist/i.test(stderr)
    ? "expected a video file, found a playlist, an image or a rare container"
    : `${tool} cannot read it: ${reason}${code === null ? " (killed)" : ""}`;
  return new MediaError(`${options.source}: ${what}`, {
    hint: "Check that it plays in a video player; if not, fetch or convert it again.",
  });
}

/** Starts `ffmpeg` or `ffprobe`. Nothing is thrown here: a missing tool shows in the first wait. */
export function startTool(
  tool: "ffmpeg" | "ffprobe",
  args: readonly string[],
  options: ToolOptions,
): MediaTool {
  options.signal?.throwIfAborted();
  const common = tool === "ffmpeg" ? ["-nostdin", "-hide_banner"] : ["-hide_banner"];
  const child: ChildProcessWithoutNullStreams = spawn(tool, [...common, "-v", "error", ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });

  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    // The head says what went wrong first, the tail what it came to.
    stderr =
      stderr.length < STDERR_KEPT ? stderr + text : stderr.slice(0, STDERR_KEPT / 2) + text.slice(-2048);
  });
  let wake: (() => void) | undefined;
  child.stdin
    .on("error", () => {}) // A tool that has read enough closes its end: seen as `write` being false.
    .on("drain", () => wake?.())
    .on("close", () => wake?.());

  let error: Error | undefined;
  const kill = (reason: Error) => {
    error ??= reason;
    child.kill("SIGKILL");
  };
  const onAbort = () => {
    const reason: unknown = options.signal?.reason;
    kill(reason instanceof Error ? reason : new Error("aborted"));
  };
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const exit = new Promise<void>((resolve) => {
    child.on("error", (cause: NodeJS.ErrnoException) => {
      error ??=
        cause.code === "ENOENT"
          ? new MediaError(`${tool} is not installed, and video files cannot be read without it`, {
              hint: "Install it: `apt install ffmpeg`, `brew install ffmpeg`, or from https://ffmpeg.org/download.html.",
              cause,
            })
          : new MediaError(`${tool} cannot be started (${cause.message})`, { cause });
      resolve();
    });
    child.on("close", (code) => {
      if (code !== 0 || (options.output && CANNOT_WRITE.test(stderr)))
        error ??= failure(tool, code, stderr, options);
      resolve();
    });
  }).finally(() => options.signal?.removeEventListener("abort", onAbort));

  const stallSeconds = options.stallSeconds ?? STALL_SECONDS;
  /** Waits for `event`, and kills the tool if that takes too long. */
  const within = async <T>(event: Promise<T>): Promise<T> => {
    const timer = setTimeout(() => {
      kill(
        new MediaError(`${options.source}: ${tool} made no progress for ${stallSeconds} s and was stopped`, {
          hint: "The file is probably damaged; convert it again from its source.",
        }),
      );
    }, stallSeconds * 1000);
    try {
      return await event;
    } finally {
      clearTimeout(timer);
    }
  };

  const conclude = async (): Promise<void> => {
    await within(exit);
    if (error) throw error;
  };

  const end = async (): Promise<void> => {
    child.kill("SIGKILL");
    child.stdout.destroy(); // unread output would keep the tool's end from being noticed
    await exit;
  };

  return {
    async *output() {
      const chunks = child.stdout[Symbol.asyncIterator]();
      try {
        for (;;) {
          const next = await within(chunks.next());
          if (next.done) break;
          yield next.value as Buffer;
        }
        await conclude();
      } finally {
        await end();
      }
    },
    async write(bytes) {
      if (child.stdin.destroyed || child.exitCode !== null || error) return false;
      if (child.stdin.write(bytes)) return true;
      const drained = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await within(Promise.race([drained, exit]));
      return !child.stdin.destroyed && child.exitCode === null && !error;
    },
    async finished() {
      child.stdin.end();
      child.stdout.resume();
      await conclude();
    },
    stop: end,
  };
}
