/** Sample-rate conversion of a stream in bounded memory: the same samples as `resample` gives at once. */
import { resample } from "./resample.js";

/** Seconds converted at a time. */
const BLOCK_SECONDS = 4;
/** What the filter is shown of each neighbour: far more than it reaches, in whole seconds so that phases agree. */
const CONTEXT_SECONDS = 1;

/** Converts mono pieces of any length from `fromHz` to `toHz` (whole numbers). */
export async function* resampleStream(
  pieces: AsyncIterable<Float32Array>,
  fromHz: number,
  toHz: number,
): AsyncGenerator<Float32Array<ArrayBuffer>, void, undefined> {
  const window = (BLOCK_SECONDS + 2 * CONTEXT_SECONDS) * fromHz;
  let buffer = new Float32Array(2 * window);
  let filled = 0;
  /** Seconds at the start of the buffer that were given out already. */
  let done = 0;
  /** Converts what is in the buffer and gives out whole seconds from `done` on, or all of it. */
  const converted = (samples: number, untilSeconds?: number) => {
    const out = resample(buffer.slice(0, samples), fromHz, toHz);
    return out.slice(done * toHz, untilSeconds === undefined ? out.length : untilSeconds * toHz);
  };
  for await (const piece of pieces) {
    if (filled + piece.length > buffer.length) {
      const larger = new Float32Array(2 * (filled + piece.length));
      larger.set(buffer.subarray(0, filled));
      buffer = larger;
    }
    buffer.set(piece, filled);
    filled += piece.length;
    while (filled >= window) {
      yield converted(window, done + BLOCK_SECONDS);
      // The last second given out stays, as the context of the next block.
      const from = (done + BLOCK_SECONDS - CONTEXT_SECONDS) * fromHz;
      buffer.copyWithin(0, from, filled);
      filled -= from;
      done = CONTEXT_SECONDS;
    }
  }
  const rest = converted(filled);
  if (rest.length > 0) yield rest;
}
