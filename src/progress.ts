/** How far a long operation is: the one shape in which everything here reports it. */
export interface Progress {
  /** Units done: clips, bytes or seconds of video, as the operation says. */
  readonly done: number;
  /** Units in all; `undefined` where the source does not announce it. */
  readonly total: number | undefined;
}

/** How far an operation of known length is. */
export interface CountedProgress extends Progress {
  readonly total: number;
}
