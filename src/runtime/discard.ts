/** Frees memory without waiting for the garbage collector. */

/**
 * Frees buffers now, by moving them to a port that nobody reads: hundreds of megabytes of weights should not
 * wait for the garbage collector. Arrays over them are detached afterwards.
 */
export function discard(buffers: Iterable<ArrayBuffer>): void {
  const { port1, port2 } = new MessageChannel();
  // A buffer that was moved elsewhere is empty, and cannot be moved again.
  port1.postMessage(
    null,
    [...new Set(buffers)].filter((buffer) => buffer.byteLength > 0),
  );
  port1.close();
  port2.close();
}
