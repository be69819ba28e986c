/** Failures of the file system in words. */
import { OutputError } from "../errors.js";

/** Why something cannot be written, and what to do, by the system's code. */
const writeReasons: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  ENOSPC: ["the disk is full", "Free some space, or choose another folder."],
  EDQUOT: ["the disk quota is exhausted", "Free some space, or choose another folder."],
  EFBIG: ["the file is larger than the file system allows", "Choose a folder on another file system."],
  EACCES: ["no permission to write there", "Choose a folder that you may write to."],
  EPERM: ["no permission to write there", "Choose a folder that you may write to."],
  EROFS: ["the file system is read-only", "Choose a folder on a writable file system."],
  ENOTDIR: ["part of the path is a file, not a folder", "Choose another path."],
  EEXIST: ["part of the path is a file, not a folder", "Choose another path."],
  EISDIR: ["the path is a folder", "Give the name of a file."],
  ENOENT: ["its folder does not exist and cannot be created", "Choose another folder."],
  ENAMETOOLONG: ["the name is too long", "Choose a shorter path."],
  ELOOP: ["the path is a loop of links", "Choose another path."],
  EIO: ["the disk reported an error", "Check the disk."],
  EMFILE: ["too many files are open", "Raise the limit (`ulimit -n`) or use fewer workers."],
};

/** Why a file cannot be read, by the system's code. */
const readReasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "no permission to read it",
  EPERM: "no permission to read it",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "the path is a loop of links",
  EIO: "the disk reported an error",
  EMFILE: "too many files are open",
};

/** The system's code of a failed call (`ENOENT`, ...), or `undefined` for any other error. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** Why a file cannot be read, e.g. `there is no such file`; `undefined` for an error that is not the file system's. */
export function readFailure(error: unknown): string | undefined {
  const code = errorCode(error);
  if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) return undefined;
  return readReasons[code] ?? `the system reported ${code}`;
}

/**
 * An `OutputError` that names `target` and the reason, for failures of the file system; any other error (a bug, an
 * abort) is returned unchanged. Use it as `throw asOutputError(error, path)`.
 */
export function asOutputError(error: unknown, target: string): unknown {
  const reason = writeReasons[errorCode(error) ?? ""];
  if (error instanceof OutputError || reason === undefined) return error;
  return new OutputError(`cannot write ${target}: ${reason[0]}`, { hint: reason[1], cause: error });
}
