/** Which answers of a server are worth another request, when, and what to say when none helps. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { CheckpointError } from "../../errors.js";
import { RetryableError } from "./http.js";
import { withoutCredentials } from "./source.js";

/** How requests are repeated. */
export interface RetryOptions {
  readonly signal?: AbortSignal | undefined;
  /** Wait before the first retry, doubled for each further one. Default: 500 ms. */
  readonly retryDelayMs?: number | undefined;
}

/** Consecutive retries without new bytes before the download fails. */
const maxIdleRetries = 3;
/** New bytes that count: a server that sends a few in each answer never ends. */
const minNewBytes = 2 ** 12;
/** Servers that ask to wait longer are not waited for. */
const maxWaitMs = 120_000;

/**
 * Repeats `work` while it throws `RetryableError`: at most three times in a row without new bytes, as `arrived` counts
 * them, and after the wait that the server asks for. Throws `CheckpointError` when that does not help, what `work`
 * throws besides, and the signal's reason on abort.
 */
export async function retrying<T>(
  work: () => Promise<T>,
  {
    what,
    arrived,
    signal,
    retryDelayMs = 500,
  }: RetryOptions & {
    /** Names what is requested, in messages. */
    readonly what: string;
    /** The bytes that are kept so far. */
    readonly arrived?: (() => Promise<number>) | undefined;
  },
): Promise<T> {
  let best = (await arrived?.()) ?? 0;
  for (let idle = 0; ; ) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof RetryableError)) throw error;
      const bytes = (await arrived?.()) ?? 0;
      const isNew = bytes - best >= minNewBytes;
      idle = isNew ? 0 : idle + 1;
      if (isNew) best = bytes;
      const kept = bytes > 0 ? `; the ${bytes} bytes that arrived are kept and will be continued` : "";
      if (error.waitMs > maxWaitMs) {
        const minutes = Math.ceil(error.waitMs / 60_000);
        throw new CheckpointError(`cannot download ${what}: ${error.message}${kept}`, {
          hint: `The server asks to wait ${minutes} minutes. Run the same command again then, or pass a file to \`avseg weights pull\` with --from FILE.`,
          cause: error,
        });
      }
      if (idle > maxIdleRetries) {
        throw new CheckpointError(`cannot download ${what}: ${error.message}${kept}`, {
          hint: "Check the network (and HTTPS_PROXY) and run the same command again, or download the file yourself and pass it to `avseg weights pull` with --from FILE.",
          cause: error,
        });
      }
      const wait = Math.max(retryDelayMs * 2 ** idle, error.waitMs);
      await sleep(wait, undefined, { signal });
    }
  }
}

/** The error of an answer that may be another one later: overload, failures of the server. */
export function retryOf({ statusCode, headers }: Dispatcher.ResponseData): RetryableError | undefined {
  if (statusCode < 500 && statusCode !== 408 && statusCode !== 429) return undefined;
  const text = [headers["retry-after"] ?? ""].flat()[0] ?? "";
  const seconds = /^\s*\d{1,9}\s*$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  const waitMs = Number.isFinite(seconds) ? Math.max(0, seconds * 1000) : 0;
  return new RetryableError(`the server answered ${statusCode}`, { waitMs });
}

/** Throws `CheckpointError` for an answer that is not the content that was asked for, as it is. */
export function requireUsable(
  { statusCode, headers }: Dispatcher.ResponseData,
  { url, page }: { readonly url: string; readonly page: string },
): void {
  const address = withoutCredentials(url);
  if (statusCode !== 200 && statusCode !== 206) {
    const isGated = page.startsWith("https://huggingface.co/") && (statusCode === 401 || statusCode === 403);
    throw new CheckpointError(`cannot download ${address}: the server answered ${statusCode}`, {
      hint: isGated
        ? `Accept the terms at ${page} and set HF_TOKEN to a token that may read it, or pass a file to \`avseg weights pull\` with --from FILE.`
        : `Check the address (${page}), or download the file yourself and pass it to \`avseg weights pull\` with --from FILE.`,
    });
  }
  const encoding = [headers["content-encoding"] ?? "identity"].flat().join();
  if (encoding.trim().toLowerCase() === "identity" || encoding.trim() === "") return;
  throw new CheckpointError(
    `${address}: the server sent it compressed (${encoding}), which was not asked for`,
    {
      hint: "Download the file yourself and pass it to `avseg weights pull` with --from FILE.",
    },
  );
}
