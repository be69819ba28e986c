/** Downloads that survive dropped connections: the bytes that arrived are kept beside the target and continued. */
import { type FileHandle, open } from "node:fs/promises";
import { CheckpointError } from "../../errors.js";
import { asOutputError } from "../../node/system-error.js";
import type { Progress } from "../../progress.js";
import { type FetchOptions, requestBody } from "./body.js";
import { RetryableError } from "./http.js";
import { discardPart, readState, requireFreeSpace, sizeOf, tailOf, writeState } from "./part.js";
import { extent, isOtherContent, validatorOf } from "./ranges.js";
import { requireUsable, retrying } from "./retry.js";
import { type DownloadSource, withoutCredentials } from "./source.js";

/** How files are downloaded. */
export interface DownloadOptions extends FetchOptions {
  /** Called with the bytes on disk, including earlier attempts, and the total if the server sends it. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** A file of more bytes is refused. Default: 8 GiB. */
  readonly maxBytes?: number | undefined;
}

/** No public weight file is nearly as large. */
const defaultMaxBytes = 8 * 2 ** 30;
/** Bytes that are requested again when a file is continued: servers whose ranges are wrong send others. */
const overlapBytes = 2 ** 16;

/**
 * Downloads a file to `part`, continuing what an earlier call left there if the server still has the same content.
 * Pages of Google Drive that ask to confirm the download of a large file are confirmed.
 * On failure or abort the partial file is kept for the next call. Throws `CheckpointError` when the server does not give the
 * file, `OutputError` when it cannot be written, the signal's reason on abort.
 */
export async function downloadToPart(
  source: DownloadSource,
  part: string,
  options: DownloadOptions = {},
): Promise<void> {
  try {
    await retrying(() => attempt(source, part, options), {
      ...options,
      what: withoutCredentials(source.url),
      arrived: () => sizeOf(part),
    });
  } catch (error) {
    throw asOutputError(error, part);
  }
}

async function attempt(source: DownloadSource, part: string, options: DownloadOptions): Promise<void> {
  const recorded = await readState(part);
  const url = withoutCredentials(source.url);
  const state = recorded?.url === url ? recorded : undefined;
  const offset = state?.validator === undefined ? 0 : await sizeOf(part);
  const from = Math.max(0, offset - overlapBytes);
  const range: Record<string, string> =
    from > 0 && state?.validator !== undefined
      ? { range: `bytes=${from}-`, "if-range": state.validator }
      : {};
  const answer = await requestBody(source, range, options);
  const { response, chunks } = answer;
  try {
    if (response.statusCode === 416 && from > 0) {
      await discardPart(part);
      throw new RetryableError("the server refused to continue the file");
    }
    requireUsable(response, source);
    const { start, total } = extent(response, from);
    const isWrongPlace = start !== (response.statusCode === 206 ? from : 0);
    if (isWrongPlace || (from > 0 && isOtherContent(response, { start, total, state }))) {
      await discardPart(part);
      throw new RetryableError("the server continued another file than the one begun, or at another place");
    }
    const { maxBytes = defaultMaxBytes, onProgress } = options;
    if ((total ?? 0) > maxBytes) throw tooLarge(url, total, maxBytes);
    if (total !== undefined) await requireFreeSpace(part, total - (await sizeOf(part)));
    if (start === 0) await writeState(part, { url, total, ...validatorOf(response) });
    const known = start === 0 ? undefined : await tailOf(part, start);
    await receive(chunks, part, { known, start, total, url, maxBytes, onProgress });
  } finally {
    response.body.destroy();
    await answer.close();
  }
}

/** What is written, and what is known of it. */
interface Reception {
  /** Where the body begins in the file. */
  readonly start: number;
  /** What the file holds from there on; `undefined` where it is written anew. */
  readonly known: Uint8Array | undefined;
  readonly total: number | undefined;
  readonly url: string;
  readonly maxBytes: number;
  readonly onProgress: DownloadOptions["onProgress"];
}

/** Writes the body into `part`: what the file holds already is compared. */
async function receive(
  chunks: AsyncIterable<Uint8Array>,
  part: string,
  { start, known = new Uint8Array(), total, url, maxBytes, onProgress }: Reception,
): Promise<void> {
  let done = start;
  let file: FileHandle | undefined;
  try {
    file = await open(part, start === 0 ? "w" : "a");
    onProgress?.({ done: start + known.length, total });
    for await (const chunk of chunks) {
      const expected = known.subarray(done - start, done - start + chunk.length);
      if (Buffer.compare(chunk.subarray(0, expected.length), expected) !== 0) {
        await discardPart(part);
        throw new RetryableError("the server continued the file with bytes of another place");
      }
      await file.appendFile(chunk.subarray(expected.length));
      done += chunk.length;
      if (done > (total ?? maxBytes)) break;
      onProgress?.({ done: Math.max(done, start + known.length), total });
    }
    await file.sync();
  } finally {
    await file?.close();
  }
  if (total === undefined && done > maxBytes) throw tooLarge(url, done, maxBytes);
  if (total === undefined || done === total) return;
  if (done > total) await discardPart(part);
  throw new RetryableError(
    done > total
      ? `the server sent more than the ${total} bytes that it announced`
      : `the connection ended after ${done} of ${total} bytes`,
  );
}

function tooLarge(url: string, bytes: number | undefined, maxBytes: number): Error {
  return new CheckpointError(`${url}: ${bytes} bytes, expected a weight file of ${maxBytes} at most`, {
    hint: "Check the address, or download the file yourself and pass it to `avseg weights pull` with --from FILE.",
  });
}
