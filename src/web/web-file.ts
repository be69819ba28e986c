/** Files in a browser: addresses are fetched, chosen files and bytes are read where they lie. */
import type { AvsegError } from "../errors.js";
import type { Progress } from "../progress.js";

/** A file by its address, as chosen by the user, or in memory. */
export type WebFile = string | URL | Blob | Uint8Array<ArrayBuffer>;

/** How far a download is, in bytes. */
export interface DownloadProgress extends Progress {
  /** The address. */
  readonly name: string;
}

/** Options of fetching a `WebFile`. */
export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

/** The class of a failure. */
type Failure = new (...args: ConstructorParameters<typeof AvsegError>) => AvsegError;

/** What a file is called in messages. */
export function nameOf(file: WebFile, fallback: string): string {
  if (typeof file === "string") return file;
  if (file instanceof URL) return file.href;
  return file instanceof File ? file.name : fallback;
}

/** The content of a file. Throws a `Failure` when it cannot be fetched, and the signal's reason. */
export async function blobOf(file: WebFile, Failure: Failure, options: DownloadOptions = {}): Promise<Blob> {
  if (file instanceof Blob) return file;
  if (file instanceof Uint8Array) return new Blob([file]);
  const address = nameOf(file, "");
  const response = await fetch(file, { signal: options.signal ?? null }).catch((cause: unknown) => {
    options.signal?.throwIfAborted();
    throw new Failure(`${address}: cannot be fetched`, {
      cause,
      hint: "Check the address; from another host it needs CORS headers.",
    });
  });
  if (!response.ok || response.body === null) {
    throw new Failure(`${address}: the server answered ${response.status} ${response.statusText}`, {
      hint: "Check the address.",
    });
  }
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  let done = 0;
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(piece, out) {
        done += piece.length;
        // A compressed answer announces its compressed length.
        const total = length >= done ? length : undefined;
        options.onProgress?.({ name: address, done, total });
        out.enqueue(piece);
      },
    }),
  );
  return new Response(counted).blob();
}
