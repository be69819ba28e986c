/** Weight files in a browser: addresses are fetched, chosen files and bytes are read where they lie. */
import { CheckpointError } from "../errors.js";
import type { WeightReader } from "../models/assemble-weights.js";
import { blobSource } from "../weights/byte-source.js";
import { readStateDict } from "../weights/state-dict.js";

/** A file by its address, as chosen by the user, or in memory. */
export type WebFile = string | URL | Blob | Uint8Array<ArrayBuffer>;

/** How far a download is. */
export interface DownloadProgress {
  /** The address. */
  readonly name: string;
  readonly doneBytes: number;
  /** `undefined` where the server does not say. */
  readonly totalBytes: number | undefined;
}

/** Options of reading a `WebFile`. */
export interface DownloadOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** What a file is called in messages. */
export function nameOf(file: WebFile, fallback: string): string {
  if (typeof file === "string") return file;
  if (file instanceof URL) return file.href;
  return file instanceof File ? file.name : fallback;
}

/** The content of a file. Throws `CheckpointError` when it cannot be fetched, and the signal's reason. */
export async function blobOf(file: WebFile, options: DownloadOptions = {}): Promise<Blob> {
  if (file instanceof Blob) return file;
  if (file instanceof Uint8Array) return new Blob([file]);
  const address = nameOf(file, "");
  const response = await fetch(file, options.signal ? { signal: options.signal } : {}).catch(
    (cause: unknown) => {
      options.signal?.throwIfAborted();
      throw new CheckpointError(`${address}: cannot be fetched`, {
        cause,
        hint: "Check the address; from another host it needs CORS headers.",
      });
    },
  );
  if (!response.ok || response.body === null) {
    throw new CheckpointError(`${address}: the server answered ${response.status} ${response.statusText}`, {
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
        const totalBytes = length >= done ? length : undefined;
        options.onProgress?.({ name: address, doneBytes: done, totalBytes });
        out.enqueue(piece);
      },
    }),
  );
  return new Response(counted).blob();
}

/** Reads weight files among `files`, by name. Throws `CheckpointError` for a name that is not among them. */
export function webWeightReader(
  files: ReadonlyMap<string, WebFile>,
  options: DownloadOptions = {},
): WeightReader {
  return async (name) => {
    const file = files.get(name);
    if (file === undefined) {
      throw new CheckpointError(`${name}: the checkpoint was trained on this encoder and does not hold it`, {
        hint: "Give it under `encoders`, or export the model to ONNX, which holds all.",
      });
    }
    const blob = await blobOf(file, options);
    const { tensors, metadata } = await readStateDict(
      blobSource(name, blob),
      options.signal ? { signal: options.signal } : {},
    );
    return { tensors, metadata, sha256: () => sha256(blob, name) };
  };
}

async function sha256(blob: Blob, name: string): Promise<string> {
  if (globalThis.isSecureContext === false) {
    throw new CheckpointError(`${name}: its hash cannot be checked on a page that is not secure`, {
      hint: "Serve the page over https or from localhost.",
    });
  }
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
