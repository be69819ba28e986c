/**
 * Failures that a user can cause and fix. Everything else is a bug and keeps its stack.
 * The message says what was expected, what was found and where; `hint` says what to do.
 */
export class AvsegError extends Error {
  /** One sentence: what the user can do about it. */
  readonly hint: string | undefined;

  constructor(message: string, options: { hint?: string | undefined; cause?: unknown | undefined } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.hint = options.hint;
  }
}

/** A weight file or checkpoint that cannot be read or does not fit the model. */
export class CheckpointError extends AvsegError {}

/** A dataset whose folder, table, frame, mask or sound is missing or malformed. */
export class DatasetError extends AvsegError {}

/** A video, image or sound file that cannot be decoded, or a missing media tool. */
export class MediaError extends AvsegError {}

/** A configuration with an unknown key or a value out of range. */
export class ConfigError extends AvsegError {}

/** Output that cannot be written: a full disk, a folder without permission. */
export class OutputError extends AvsegError {}

/** The first `max` of the items, and how many more there are: `a, b and 3 more`. Keeps messages short. */
export function listSome(items: readonly string[], max: number, separator = ", "): string {
  const more = items.length > max ? ` and ${items.length - max} more` : "";
  return items.slice(0, max).join(separator) + more;
}
