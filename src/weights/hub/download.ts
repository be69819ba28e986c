/** Downloads that survive dropped connections: the bytes that arrived are kept beside the target and continued. */
import { on } from "node:events";
import { type FileHandle, open, readFile, rm, stat } from "node:fs/promises";
import type { Dispatcher } from "undici";
import * as z from "zod";
import { CheckpointError } from "../../errors.js";
import { writeFileAtomic } from "../../node/files.js";
import { asOutputError, errorCode } from "../../node/system-error.js";
import type { Progress } from "../../progress.js";
import { type Answer, messageOf, RetryableError, requestFile } from "./http.js";
import { confirmedAddress, isPage, type Page, pageMeaning, readPage } from "./page.js";
import type { Environment } from "./proxy.js";
import { type RetryOptions, requireUsable, retrying, retryOf } from "./retry.js";
import { headersFor, withoutCredentials } from "./source.js";

/** How files are requested. */
export interface DownloadOptions extends RetryOptions {
  /** Called with the bytes on disk, including earlier attempts, and the total if the server sends it. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Holds the variables of proxies, tokens and endpoints. Default: the environment of the process. */
  readonly env?: Environment | undefined;
  /** How long a server may send nothing. Default: one minute. */
  readonly stallMs?: number | undefined;
  /** A file of more bytes is refused. Default: 8 GiB. */
  readonly maxBytes?: number | undefined;
}

/** No public weight file is nearly as large. */
const defaultMaxBytes = 8 * 2 ** 30;
/** Bytes that are requested again when a file is continued: servers whose ranges are wrong send others. */
const overlapBytes = 2 ** 16;
/** Chunks of at most 64 KiB that wait for the disk before the connection is paused, and when it is resumed. */
const waiting = { close: ["end", "close"], highWaterMark: 1024, lowWaterMark: 256 };
/** Pages that ask to confirm a download, one after the other. */
const maxConfirmations = 3;

/** What is recorded about a partial file, so that only the very same content is continued. */
const partStateSchema = z.object({
  url: z.string(),
  /** A strong ETag or, without one, the date of the last change: what `If-Range` takes. */
  validator: z.string().optional(),
  /** Bytes of the whole file, where the server gave them. */
  total: z.number().optional(),
});
type PartState = z.infer<typeof partStateSchema>;

/** What is downloaded. */
export interface DownloadSource {
  readonly url: string;
  /** The address that people can open in a browser, for messages. */
  readonly page: string;
}

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

/** Removes a partial file and its state. */
export async function discardPart(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(statePath(part), { force: true });
}

/** Removes the state of a partial file that is complete. */
export async function forgetPartState(part: string): Promise<void> {
  await rm(statePath(part), { force: true });
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
    if (start === 0) await writeState(part, { url, total, ...validatorOf(response) });
    const known = start === 0 ? undefined : await tailOf(part, start);
    await receive(chunks, part, { known, start, total, url, maxBytes, onProgress });
  } finally {
    response.body.destroy();
    await answer.close();
  }
}

/**
 * Requests a web page. Throws `CheckpointError` when the server does not give one, the signal's reason on abort.
 */
export async function requestPage(source: DownloadSource, options: DownloadOptions = {}): Promise<Page> {
  const { env = process.env, signal, stallMs } = options;
  return retrying(
    async () => {
      const headers = headersFor(source.url, env);
      const answer = await requestFile(source.url, { headers, env, signal, stallMs });
      try {
        const page = await readPage(answer, bytesOf(answer.response.body));
        if (pageMeaning(page) !== "other") return page;
        const retry = retryOf(answer.response);
        if (retry !== undefined) throw retry;
        requireUsable(answer.response, source);
        return page;
      } finally {
        answer.response.body.destroy();
        await answer.close();
      }
    },
    { ...options, what: withoutCredentials(source.url) },
  );
}

/** An answer whose body begins with what was read of it to see what it is. */
interface BodyAnswer extends Answer {
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Requests a file, confirming on pages that ask for it. An answer of 416 has no body.
 * Throws `CheckpointError` for any other page, `RetryableError` for answers and breaks that may pass.
 */
async function requestBody(
  source: DownloadSource,
  range: Readonly<Record<string, string>>,
  { env = process.env, signal, stallMs }: DownloadOptions,
): Promise<BodyAnswer> {
  let address = source.url;
  let cookie: { readonly host: string; readonly value: string } | undefined;
  for (let confirmations = 0; ; confirmations++) {
    const headers = { ...headersFor(address, env), ...range };
    if (cookie !== undefined && cookie.host === new URL(address).host) headers.cookie = cookie.value;
    const answer = await requestFile(address, { headers, env, signal, stallMs });
    try {
      const chunks = bytesOf(answer.response.body);
      const first = answer.response.statusCode === 416 ? undefined : await chunks.next();
      if (first === undefined || first.done || !isPage(answer.response.headers, first.value)) {
        const retry = retryOf(answer.response);
        if (retry !== undefined) throw retry;
        return { ...answer, chunks: startingWith(first, chunks) };
      }
      const page = await readPage(answer, startingWith(first, chunks));
      const next = confirmedAddress(page);
      const isSafe = next?.startsWith("https:") || !address.startsWith("https:");
      // Without TLS, anyone on the way could replace the file.
      if (next === undefined || !isSafe || confirmations === maxConfirmations) {
        throw refusedBy(page, answer, source);
      }
      cookie = cookieOf(answer);
      address = next;
      await answer.close();
    } catch (error) {
      answer.response.body.destroy();
      await answer.close();
      throw error;
    }
  }
}

/**
 * The chunks of a body, all that arrived even if the connection breaks then. They are taken at once, and up to some 64 MB
 * wait here for the disk. While undici has to stop reading, a server that closes the connection at the end of the body ends the
 * process (https://github.com/nodejs/undici/issues/5360; fixed in undici 8, which needs a later Node).
 * Throws `RetryableError` when the connection breaks.
 */
async function* bytesOf(body: Dispatcher.ResponseData["body"]): AsyncGenerator<Uint8Array, void> {
  let bytes = 0;
  try {
    // A connection that broke right after the headers reports it no more.
    if (body.errored) throw body.errored;
    if (body.readableEnded) return;
    if (body.destroyed) throw new Error("it was closed");
    for await (const [chunk] of on(body, "data", waiting)) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError("a body without bytes");
      bytes += chunk.length;
      yield chunk;
    }
  } catch (cause) {
    throw new RetryableError(`the connection broke after ${bytes} bytes (${messageOf(cause)})`, { cause });
  }
}

async function* startingWith(
  first: IteratorResult<Uint8Array> | undefined,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  if (first !== undefined && !first.done) yield first.value;
  yield* rest;
}

/** The cookies of a page, for the host that sent it. */
function cookieOf({ response, url }: Answer): { host: string; value: string } | undefined {
  const sent = [response.headers["set-cookie"] ?? []].flat();
  const value = sent.map((text) => text.split(";")[0]?.trim() ?? "").filter((pair) => pair.includes("="));
  return value.length === 0 ? undefined : { host: new URL(url).host, value: value.join("; ") };
}

/** The error for a page that came instead of the file. */
function refusedBy(page: Page, { response }: Answer, source: DownloadSource): Error {
  const address = withoutCredentials(source.url);
  const byHand = `open ${source.page} in a browser, download the file there, and pass it with --from FILE`;
  switch (pageMeaning(page)) {
    case "quota":
      return new CheckpointError(
        `${address}: Google Drive allows no more downloads of this file for now: too many people fetched it`,
        { hint: `Try again in 24 hours; or sign in to Google, ${byHand}.` },
      );
    case "sign-in":
      return new CheckpointError(`${address}: the host asks to sign in`, {
        hint: `Sign in: ${byHand}.`,
      });
    case "other": {
      const retry = retryOf(response);
      if (retry !== undefined) return retry;
      if (response.statusCode !== 200 && response.statusCode !== 206) requireUsable(response, source);
      const title = page.title === "" ? "" : ` (${JSON.stringify(page.title.slice(0, 120))})`;
      return new CheckpointError(`${address}: the server sent a web page${title} instead of the file`, {
        hint: `Check the address, or ${byHand}.`,
      });
    }
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
    hint: "Check the address, or download the file yourself and pass --from FILE.",
  });
}

/** The bytes of a file from `start` on. */
async function tailOf(file: string, start: number): Promise<Uint8Array> {
  const handle = await open(file);
  try {
    const bytes = Buffer.alloc(Math.max(0, (await handle.stat()).size - start));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Where the bytes of an answer begin in the file (-1 where it does not say), and how many the file has. */
function extent(
  response: Dispatcher.ResponseData,
  offset: number,
): { start: number; total: number | undefined } {
  const length = numberOf(response.headers["content-length"]);
  if (response.statusCode !== 206) return { start: 0, total: length };
  const range = contentRange(response);
  if (range?.start === undefined) return { start: -1, total: undefined };
  return { start: range.start, total: range.total ?? (length === undefined ? undefined : offset + length) };
}

function validatorOf(response: Dispatcher.ResponseData): { validator?: string | undefined } {
  const { etag, "last-modified": modified } = response.headers;
  if (typeof etag === "string" && !etag.startsWith("W/")) return { validator: etag };
  return typeof modified === "string" ? { validator: modified } : {};
}

/**
 * Whether the server continues another version of the file, as some honor `Range` and ignore `If-Range`, or sends the rest
 * of it as if it were the whole file.
 */
function isOtherContent(
  response: Dispatcher.ResponseData,
  {
    start,
    total,
    state,
  }: { readonly start: number; readonly total: number | undefined; readonly state: PartState | undefined },
): boolean {
  const { validator } = validatorOf(response);
  const isSameVersion = validator === undefined ? start > 0 : validator === state?.validator;
  if (start > 0 && !isSameVersion) return true;
  return isSameVersion && total !== undefined && state?.total !== undefined && total !== state.total;
}

function contentRange(
  response: Dispatcher.ResponseData,
): { start?: number | undefined; total?: number | undefined } | undefined {
  const header = response.headers["content-range"];
  const match = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(typeof header === "string" ? header : "");
  if (match === null) return undefined;
  const start = numberOf(match[1]);
  const total = numberOf(match[2]);
  return { start, total };
}

function numberOf(text: string | string[] | undefined): number | undefined {
  return typeof text === "string" && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function statePath(part: string): string {
  return `${part}.json`;
}

async function readState(part: string): Promise<PartState | undefined> {
  const text = await readFile(statePath(part), "utf8").catch(() => "");
  try {
    return partStateSchema.parse(JSON.parse(text));
  } catch {
    return undefined; // missing or damaged: the download starts from the beginning
  }
}

async function writeState(part: string, state: PartState): Promise<void> {
  await rm(part, { force: true }); // a state must never lie beside the bytes of another file
  await writeFileAtomic(statePath(part), JSON.stringify(state));
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return 0;
    throw error;
  }
}
