/** Errors as plain data, so that they keep their class, hint and cause between threads and workers. */
import {
  ArchiveError,
  AvsegError,
  CheckpointError,
  ConfigError,
  DatasetError,
  DistributedError,
  DivergenceError,
  LockedError,
  MediaError,
  OutOfMemoryError,
  OutputError,
} from "./errors.js";

/** An error as data that any worker can post. */
export interface SerializedError {
  /** Name of the class. */
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  /** The system's code, e.g. `ENOENT`. */
  readonly code?: string | undefined;
  readonly hint?: string | undefined;
  readonly cause?: SerializedError | undefined;
}

type Options = { readonly hint?: string | undefined; readonly cause?: unknown | undefined };

/** Every class that `deserializeError` rebuilds; any other error becomes an `Error` of the same name. */
const classes: Readonly<Record<string, new (message: string, options: Options) => Error>> = {
  ArchiveError,
  AvsegError,
  CheckpointError,
  ConfigError,
  DatasetError,
  DistributedError,
  DivergenceError,
  LockedError,
  MediaError,
  OutOfMemoryError,
  OutputError,
  RangeError,
  SyntaxError,
  TypeError,
};

/** Causes deeper than this are dropped: a chain may be circular. */
const maxDepth = 8;

/**
 * The data of an error, with its causes.
 *
 * @example
 * parentPort.postMessage({ error: serializeError(new MediaError("a.wav: truncated")) });
 */
export function serializeError(error: unknown, depth = 0): SerializedError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack, cause } = error;
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return {
    name,
    message,
    stack,
    code,
    hint: error instanceof AvsegError ? error.hint : undefined,
    cause: cause === undefined || depth === maxDepth ? undefined : serializeError(cause, depth + 1),
  };
}

/** The error of its data: of the same class, with the stack of the place where it was thrown. */
export function deserializeError(data: SerializedError): Error {
  const { name, message, stack, code, hint } = data;
  const cause = data.cause && deserializeError(data.cause);
  if (name === "AbortError") return new DOMException(message, name);
  const Class = Object.hasOwn(classes, name) ? classes[name] : undefined;
  const error = Class
    ? new Class(message, { hint, cause })
    : Object.assign(new Error(message, cause && { cause }), { name });
  if (stack !== undefined) error.stack = stack;
  return code === undefined ? error : Object.assign(error, { code });
}
