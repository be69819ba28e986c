/** What the supervisor and a reading process say to each other. */

/** Most that one input may take, and the longest message that may refuse it. */
export interface Limits {
  readonly milliseconds: number;
  readonly megabytes: number;
  readonly messageLength: number;
}

/** What a reading process is started with. */
export interface Job {
  readonly reader: string;
  readonly seed: number;
  /** Where inputs are written and read. */
  readonly folder: string;
  /** Inputs `first` to `last - 1`, numbered per reader and seed. */
  readonly first: number;
  readonly last: number;
  readonly limits: Limits;
  /** One input in a file instead. */
  readonly file?: string | undefined;
}

/** What went wrong with an input. */
export type FailureKind = "exception" | "time" | "memory" | "hang" | "crash" | "write" | "message";

/** An input that a reader does not stand. */
export interface Failure {
  readonly reader: string;
  readonly index: number;
  readonly kind: FailureKind;
  readonly message: string;
  readonly stack?: string | undefined;
}

/** How the inputs up to now were read. */
export interface Statistics {
  readonly read: number;
  /** Read without an error. */
  readonly accepted: number;
  readonly maxMilliseconds: number;
  readonly maxMegabytes: number;
}

/** From the reading process: input `index` comes next, or the job is done. */
export type Message =
  | { readonly kind: "next"; readonly index: number; readonly statistics: Statistics }
  | { readonly kind: "failure"; readonly failure: Failure }
  | { readonly kind: "done"; readonly statistics: Statistics };
