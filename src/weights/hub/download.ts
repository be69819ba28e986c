/** Downloads that survive dropped connections: what has arrived is kept beside the target and continued. */
import { type FileHandle, open, readFile, rm, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { CheckpointError } from "../../errors.js";
import { writeFileAtomic } from "../../node/files.js";
import { asOutputError, errorCode } from "../../node/system-error.js";
import { proxyFor } from "./proxy.js";

/** Options of `downloadToPart`. */
export interface DownloadOptions {
  signal?: AbortSignal | undefined;
  /** Called with the bytes on disk, those of earlier attempts included, and the bytes in all where the server tells. */
  onProgress?: ((done: number, total: number | undefined) => void) | undefined;
  /** Environment for the proxy variables; the process's unless told. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Wait before the first retry, doubled for each further one; 500 ms unless told. */
  retryDelayMs?: number | undefined;
}

/** Retries in a row without a single new byte, before giving up. */
const MAX_IDLE_RETRIES = 3;
const MAX_REDIRECTS = 10;
const STALL_MS = 60_000;
/** No public weight file comes near this; a server that sends more is not sending one. */
const MAX_BYTES = 8 * 2 ** 30;

/** What is remembered of a partial file, so that only the very same content is continued. */
interface PartState {
  url: string;
  /** A strong ETag or, without one, the date of the last change: what `If-Range` takes. */
  validator?: string | undefined;
}

/** An answer or a break that trying again may mend. */
class RetryableError extends Error {}

/**
 * Downloads `url` to `part`, continuing what an earlier call left there if the server still has the same content.
 * On failure or abort the partial file stays for next time. Throws `CheckpointError` when the server does not give the
 * file, `OutputError` when it cannot be written, the signal's reason on abort.
 */
export async function downloadToPart(
  url: string,
  part: string,
  options: DownloadOptions = {},
): Promise<void> {
  let best = await sizeOf(part);
  for (let idle = 0; ; ) {
    options.signal?.throwIfAborted();
    try {
      return await attempt(url, part, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof RetryableError)) throw asOutputError(error, part);
      const arrived = await sizeOf(part);
      idle = arrived > best ? 0 : idle + 1;
      best = Math.max(best, arrived);
      if (idle > MAX_IDLE_RETRIES) {
        const kept = arrived > 0 ? `; the ${arrived} bytes that arrived are kept and will be continued` : "";
        throw new CheckpointError(`cannot download ${url}: ${error.message}${kept}`, {
          hint: "check the network (and HTTPS_PROXY), then run the same command again; or fetch the file yourself and pass --from FILE",
          cause: error,
        });
      }
      const wait = (options.retryDelayMs ?? 500) * 2 ** idle;
      await sleep(wait, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}

/** Removes a partial file and what is remembered of it. */
export async function discardPart(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(statePath(part), { force: true });
}

/** Forgets the state of a part that became a whole file. */
export async function forgetPartState(part: string): Promise<void> {
  await rm(statePath(part), { force: true });
}

async function attempt(url: string, part: string, options: DownloadOptions): Promise<void> {
  const state = await readState(part);
  let offset = state?.url === url && state.validator !== undefined ? await sizeOf(part) : 0;
  const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "avseg" };
  if (offset > 0) {
    headers.range = `bytes=${offset}-`;
    headers["if-range"] = state?.validator as string;
  }
  const { response, close } = await send(url, headers, options);
  try {
    const { statusCode } = response;
    if (statusCode === 416 && offset > 0) {
      // Nothing is left to send: complete, or not what we have the beginning of.
      if (contentRange(response)?.total === offset) return;
      await discardPart(part);
      throw new RetryableError("the server refused to continue the file");
    }
    if (statusCode !== 200 && statusCode !== 206) throw refusedBy(url, statusCode);
    const range = statusCode === 206 ? contentRange(response) : undefined;
    if (statusCode === 206 && (range?.start !== offset || isOtherContent(response, state))) {
      await discardPart(part);
      throw new RetryableError("the server continued another file than the one begun");
    }
    if (statusCode === 200) offset = 0;
    const length = numberOf(response.headers["content-length"]);
    const total = range?.total ?? (length === undefined ? undefined : offset + length);
    if ((total ?? 0) > MAX_BYTES) {
      throw new CheckpointError(`${url}: ${total} bytes, more than any weight file has`);
    }
    if (offset === 0) await writeState(part, { url, ...validatorOf(response) });
    await receive(response.body, part, { offset, total, ...options });
  } finally {
    response.body.destroy();
    await close();
  }
}

/** Writes the body behind the first `offset` bytes of `part`. */
async function receive(
  body: Dispatcher.ResponseData["body"],
  part: string,
  { offset, total, onProgress }: DownloadOptions & { offset: number; total: number | undefined },
): Promise<void> {
  let done = offset;
  let file: FileHandle | undefined;
  try {
    file = await open(part, offset === 0 ? "w" : "a");
    onProgress?.(done, total);
    const chunks = body[Symbol.asyncIterator]();
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => {
        throw new RetryableError(`the connection broke after ${done} bytes (${messageOf(error)})`, {
          cause: error,
        });
      });
      if (next.done) break;
      const chunk = next.value as Uint8Array;
      await file.appendFile(chunk);
      done += chunk.length;
      if (done > MAX_BYTES) throw new CheckpointError(`${part}: more bytes than any weight file has`);
      onProgress?.(done, total);
    }
    if (total !== undefined && done !== total) {
      throw new RetryableError(`the connection ended after ${done} of ${total} bytes`);
    }
    await file.sync();
  } finally {
    await file?.close();
  }
}

/** Sends the request, through the proxy of each address on the way, following redirects. */
async function send(url: string, headers: Record<string, string>, options: DownloadOptions) {
  // Loaded here because it takes a while, and most commands download nothing.
  const { Agent, ProxyAgent, request } = await import("undici");
  const env = options.env ?? process.env;
  let current = addressOf(url, undefined, url);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const proxy = proxyFor(current, env);
    const timeouts = { headersTimeout: STALL_MS, bodyTimeout: STALL_MS };
    // Plain HTTP is asked of the proxy itself; only HTTPS needs a tunnel, which some proxies refuse for port 80.
    const tunnel = current.protocol === "https:";
    let dispatcher: Dispatcher;
    try {
      dispatcher =
        proxy === undefined
          ? new Agent(timeouts)
          : new ProxyAgent({ uri: proxy, proxyTunnel: tunnel, ...timeouts });
    } catch (cause) {
      throw new CheckpointError(`cannot use the proxy ${proxy}: ${messageOf(cause)}`, {
        hint: "correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY",
        cause,
      });
    }
    const close = () => dispatcher.destroy();
    let response: Dispatcher.ResponseData;
    try {
      const signal = options.signal ?? null;
      response = await request(current, { headers, dispatcher, signal });
    } catch (error) {
      await close();
      throw new RetryableError(messageOf(error), { cause: error });
    }
    // A body that is given up reports an error, which nobody would hear otherwise.
    response.body.on("error", () => undefined);
    const location = response.headers.location;
    if (![301, 302, 303, 307, 308].includes(response.statusCode) || typeof location !== "string") {
      return { response, close };
    }
    response.body.destroy();
    await close();
    const next = addressOf(location, current, url);
    if (!/^https?:$/.test(next.protocol) || (current.protocol === "https:" && next.protocol === "http:")) {
      throw new CheckpointError(
        `${url}: the server redirects to ${next.protocol}//${next.host}, which is not safe`,
      );
    }
    current = next;
  }
  throw new CheckpointError(`${url}: more than ${MAX_REDIRECTS} redirects`);
}

function addressOf(text: string, base: URL | undefined, asked: string): URL {
  try {
    return new URL(text, base);
  } catch (cause) {
    const found =
      base === undefined ? "this is no address" : `the server redirects to ${text}, which is none`;
    throw new CheckpointError(
      `cannot download ${asked}: expected an address like https://host/file, ${found}`,
      {
        hint: "check the address; or fetch the file yourself and pass --from FILE",
        cause,
      },
    );
  }
}

function refusedBy(url: string, status: number): Error {
  if (status >= 500 || status === 408 || status === 429)
    return new RetryableError(`the server answers ${status}`);
  return new CheckpointError(`cannot download ${url}: the server answers ${status}`, {
    hint: "check the address; or fetch the file yourself and pass --from FILE",
  });
}

function validatorOf(response: Dispatcher.ResponseData): { validator?: string | undefined } {
  const { etag, "last-modified": modified } = response.headers;
  if (typeof etag === "string" && !etag.startsWith("W/")) return { validator: etag };
  return typeof modified === "string" ? { validator: modified } : {};
}

/** Servers that ignore `If-Range` but honour `Range` would continue another version of the file. */
function isOtherContent(response: Dispatcher.ResponseData, state: PartState | undefined): boolean {
  const { validator } = validatorOf(response);
  return validator !== undefined && validator !== state?.validator;
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
  try {
    const value: unknown = JSON.parse(await readFile(statePath(part), "utf8"));
    if (typeof value !== "object" || value === null || !("url" in value) || typeof value.url !== "string")
      return;
    const validator =
      "validator" in value && typeof value.validator === "string" ? value.validator : undefined;
    return { url: value.url, validator };
  } catch {
    return undefined; // absent or half-written: start anew
  }
}

async function writeState(part: string, state: PartState): Promise<void> {
  await rm(part, { force: true }); // never a state beside the bytes of another
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

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.message || errorCode(error) || error.name;
}
