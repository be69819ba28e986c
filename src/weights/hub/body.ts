/** Requests of files and pages: pages in place of a file are understood, and confirmed where they ask for it. */
import { on } from "node:events";
import type { Dispatcher } from "undici";
import { CheckpointError } from "../../errors.js";
import { type Answer, defaultStallMs, messageOf, RetryableError, requestFile } from "./http.js";
import { confirmedAddress, isPage, type Page, pageMeaning, readPage } from "./page.js";
import type { Environment } from "./proxy.js";
import { type RetryOptions, requireUsable, retrying, retryOf } from "./retry.js";
import { type DownloadSource, headersFor, withoutCredentials } from "./source.js";

/** Chunks of at most 64 KiB that wait for the disk before the connection is paused, and when it is resumed. */
const waiting = { close: ["end", "close"], highWaterMark: 1024, lowWaterMark: 256 };
/** Pages that ask to confirm a download, one after the other. */
const maxConfirmations = 3;
/** A server that sends less for as long as it may send nothing has stalled, too. */
const minBytesPerSecond = 1024;

/** How files and pages are requested. */
export interface FetchOptions extends RetryOptions {
  /** Holds the variables of proxies, tokens and endpoints. Default: the environment of the process. */
  readonly env?: Environment | undefined;
  /** How long a server may send nothing, or less than 1 KiB a second. Default: one minute. */
  readonly stallMs?: number | undefined;
}

/**
 * Requests a web page. Throws `CheckpointError` when the server does not give one, the signal's reason on abort.
 */
export async function requestPage(source: DownloadSource, options: FetchOptions = {}): Promise<Page> {
  const { env = process.env, signal, stallMs } = options;
  return retrying(
    async () => {
      const headers = headersFor(source.url, env);
      const answer = await requestFile(source.url, { headers, env, signal, stallMs });
      try {
        const page = await readPage(answer, bytesOf(answer.response.body, stallMs));
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
export interface BodyAnswer extends Answer {
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Requests a file, confirming on pages that ask for it. An answer of 416 has no body.
 * Throws `CheckpointError` for any other page, `RetryableError` for answers and breaks that may pass.
 */
export async function requestBody(
  source: DownloadSource,
  range: Readonly<Record<string, string>>,
  { env = process.env, signal, stallMs }: FetchOptions,
): Promise<BodyAnswer> {
  let address = source.url;
  let cookie: { readonly host: string; readonly value: string } | undefined;
  for (let confirmations = 0; ; confirmations++) {
    const headers = { ...headersFor(address, env), ...range };
    if (cookie !== undefined && cookie.host === new URL(address).host) headers.cookie = cookie.value;
    const answer = await requestFile(address, { headers, env, signal, stallMs });
    try {
      const chunks = bytesOf(answer.response.body, stallMs);
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
 * Throws `RetryableError` when the connection breaks, and when the server sends next to nothing.
 */
async function* bytesOf(
  body: Dispatcher.ResponseData["body"],
  stallMs = defaultStallMs,
): AsyncGenerator<Uint8Array, void> {
  let bytes = 0;
  let last = { bytes, time: performance.now() };
  try {
    // A connection that broke right after the headers reports it no more.
    if (body.errored) throw body.errored;
    if (body.readableEnded) return;
    if (body.destroyed) throw new Error("it was closed");
    for await (const [chunk] of on(body, "data", waiting)) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError("a body without bytes");
      bytes += chunk.length;
      yield chunk;
      const now = { bytes, time: performance.now() };
      if (now.time - last.time < stallMs) continue;
      const perSecond = (1000 * (now.bytes - last.bytes)) / (now.time - last.time);
      if (perSecond < minBytesPerSecond) throw new Error("the server sends less than 1 KiB a second");
      last = now;
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
  const byHand = `open ${source.page} in a browser, download the file there, and pass it to \`avseg weights pull\` with --from FILE`;
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
