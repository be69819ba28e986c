/**
 * Failures that a user can cause and fix. Everything else is a bug and keeps its stack.
 * The message says what was expected, what was found and where (its middle is left out where it is very long); `hint` says what to do.
 */
export class AvsegError extends Error {
  /** The class by a name that survives minification, as workers need it (`serializeError`). */
  override readonly name: string = "AvsegError";
  /** One sentence: what the user can do about it. */
  readonly hint: string | undefined;

  constructor(message: string, options: { hint?: string | undefined; cause?: unknown | undefined } = {}) {
    super(bounded(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint;
  }
}

/** Messages quote names and values from files, which may be of any length. */
const maxMessageLength = 4000;

function bounded(message: string): string {
  if (message.length <= maxMessageLength) return message;
  const left = message.length - maxMessageLength;
  return `${message.slice(0, maxMessageLength - 500)} [${left} characters left out] ${message.slice(-500)}`;
}

/** A weight file or checkpoint that cannot be read or does not fit the model. */
export class CheckpointError extends AvsegError {
  override readonly name: string = "CheckpointError";
}

/** A dataset whose folder, table, frame, mask or sound is missing or malformed. */
export class DatasetError extends AvsegError {
  override readonly name: string = "DatasetError";
}

/** A video, image or sound file that cannot be decoded, or a missing media tool. */
export class MediaError extends AvsegError {
  override readonly name: string = "MediaError";
}

/** A configuration with an unknown key or a value out of range. */
export class ConfigError extends AvsegError {
  override readonly name: string = "ConfigError";
}

/** Output that cannot be written: a full disk, a folder without permission. */
export class OutputError extends AvsegError {
  override readonly name: string = "OutputError";
}

/** A folder or file that another running process is writing. */
export class LockedError extends AvsegError {
  override readonly name: string = "LockedError";
}

/** Processes that cannot work together: no MPI library, or one that failed. */
export class DistributedError extends AvsegError {
  override readonly name: string = "DistributedError";
}

/** Training whose loss or weights are no longer finite numbers. */
export class DivergenceError extends AvsegError {
  override readonly name: string = "DivergenceError";
}

/** A server of an archive's jobs that cannot be reached or used, or an archive that another command does not fit. */
export class ArchiveError extends AvsegError {
  override readonly name: string = "ArchiveError";
}

/** Work that needs more memory than there is. */
export class OutOfMemoryError extends AvsegError {
  override readonly name: string = "OutOfMemoryError";
}

/** How V8, C++ and ONNX Runtime word a failed allocation. */
const allocationFailure =
  /array buffer allocation failed|invalid (typed )?array( buffer)? length: \d|bad[ _]alloc|failed to allocate memory|out of memory|reaching memory limit/i;

/**
 * Whether an error, or what caused it, is a failed allocation. V8 reports one as a `RangeError`, so the class alone
 * does not distinguish it from a wrong argument.
 */
export function isOutOfMemory(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (cause instanceof OutOfMemoryError || allocationFailure.test(cause.message)) return true;
  }
  return false;
}

/** The first `max` of the items, and how many more there are: `a, b and 3 more`. Keeps messages short. */
export function listSome(items: readonly string[], max: number, separator = ", "): string {
  const more = items.length > max ? ` and ${items.length - max} more` : "";
  return items.slice(0, max).join(separator) + more;
}
