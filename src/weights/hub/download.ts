/** Downloads that survive dropped connections: the bytes that arrived are kept beside the target and continued. */
import { type FileHandle, open, readFile, rm, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Dispatcher } from "undici";
import * as z from "zod";
import { CheckpointError } from "../../errors.js";
import { writeFileAtomic } from "../../node/files.js";
import { asOutputError, errorCode } from "../../node/system-error.js";
import type { Progress } from "../../progress.js";
import { messageOf, RetryableError, requestFile } from "./http.js";
import type { Environment } from "./proxy.js";

/** Options of `downloadToPart`. */
export interface DownloadOptions {
  signal?: AbortSignal | undefined;
  /** Called with the bytes on disk, including earlier attempts, and the total if the server sends it. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Holds the proxy variables. Default: the environment of the process. */
  env?: Environment | undefined;
  /** Wait before the first retry, doubled for each further one. Default: 500 ms. */
  retryDelayMs?: number | undefined;
}

/** Consecutive retries without a new byte before the download fails. */
const maxIdleRetries = 3;
/** No public weight file is nearly as large. */
const maxBytes = 8 * 2 ** 30;

/** What is recorded about a partial file, so that only the very same content is continued. */
const partStateSchema = z.object({
  url: z.string(),
  /** A strong ETag or, without one, the date of the last change: what `If-Range` takes. */
  validator: z.string().optional(),
});
type PartState = z.infer<typeof partStateSchema>;

/**
 * Downloads `url` to `part`, continuing what an earlier call left there if the server still has the same content.
 * On failure or abort the partial file is kept for the next call. Throws `CheckpointError` when the server does not give the
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
      if (idle > maxIdleRetries) {
        const kept = arrived > 0 ? `; the ${arrived} bytes that arrived are kept and will be continued` : "";
        throw new CheckpointError(`cannot download ${url}: ${error.message}${kept}`, {
          hint: "Check the network (and HTTPS_PROXY) and run the same command again, or download the file yourself and pass --from FILE.",
          cause: error,
        });
      }
      const wait = (options.retryDelayMs ?? 500) * 2 ** idle;
      await sleep(wait, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
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

async function attempt(url: string, part: string, options: DownloadOptions): Promise<void> {
  const recorded = await readState(part);
  const state = recorded?.url === url ? recorded : undefined;
  let offset = state?.validator === undefined ? 0 : await sizeOf(part);
  const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "avseg" };
  if (offset > 0 && state?.validator !== undefined) {
    headers.range = `bytes=${offset}-`;
    headers["if-range"] = state.validator;
  }
  const { env = process.env, signal } = options;
  const { response, close } = await requestFile(url, { headers, env, signal });
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
    if ((total ?? 0) > maxBytes) {
      throw new CheckpointError(`${url}: ${total} bytes, expected a weight file of ${maxBytes} at most`, {
        hint: "Check the address.",
      });
    }
    if (offset === 0) await writeState(part, { url, ...validatorOf(response) });
    await receive(response.body, part, { offset, total, ...options });
  } finally {
    response.body.destroy();
    await close();
  }
}

/** Writes the body after the first `offset` bytes of `part`. */
async function receive(
  body: Dispatcher.ResponseData["body"],
  part: string,
  { offset, total, onProgress }: DownloadOptions & { offset: number; total: number | undefined },
): Promise<void> {
  let done = offset;
  let file: FileHandle | undefined;
  try {
    file = await open(part, offset === 0 ? "w" : "a");
    onProgress?.({ done, total });
    const chunks = body[Symbol.asyncIterator]();
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => {
        throw new RetryableError(`the connection broke after ${done} bytes (${messageOf(error)})`, {
          cause: error,
        });
      });
      if (next.done) break;
      const chunk: Uint8Array = next.value;
      await file.appendFile(chunk);
      done += chunk.length;
      if (done > maxBytes) {
        throw new CheckpointError(`${part}: expected a weight file of ${maxBytes} bytes at most`, {
          hint: "Check the address.",
        });
      }
      onProgress?.({ done, total });
    }
    if (total !== undefined && done !== total) {
      throw new RetryableError(`the connection ended after ${done} of ${total} bytes`);
    }
    await file.sync();
  } finally {
    await file?.close();
  }
}

function refusedBy(url: string, status: number): Error {
  if (status >= 500 || status === 408 || status === 429)
    return new RetryableError(`the server answered ${status}`);
  return new CheckpointError(`cannot download ${url}: the server answered ${status}`, {
    hint: "Check the address, or download the file yourself and pass --from FILE.",
  });
}

function validatorOf(response: Dispatcher.ResponseData): { validator?: string | undefined } {
  const { etag, "last-modified": modified } = response.headers;
  if (typeof etag === "string" && !etag.startsWith("W/")) return { validator: etag };
  return typeof modified === "string" ? { validator: modified } : {};
}

/** Whether the server continues another version of the file: some honor `Range` and ignore `If-Range`. */
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
