/** Audio embeddings on disk, shared by all runs and projects of a user. */
import { createHash } from "node:crypto";
import { access, readFile } from "node:fs/promises";
import path from "node:path";
import { cacheDir } from "../../node/cache-dir.js";
import { writeFileAtomic } from "../../node/files.js";

const digestBytes = 32;

/** Options of an `EmbeddingCache`. */
export interface EmbeddingCacheOptions {
  /** Default: `audio-embeddings` in the shared cache folder. */
  readonly dir?: string | undefined;
  /** Called once, when embeddings cannot be written; from then on they are only read. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * Numbers by the hash of the encoder and the hash of its input, a file each: `<encoder>/<2 digits>/<the other digits>`.
 * Any number of processes may use one folder. Nothing here throws: a cache must not end a run.
 */
export class EmbeddingCache {
  readonly #dir: string;
  readonly #onWarning: ((message: string) => void) | undefined;
  #writes = true;

  constructor({ dir = path.join(cacheDir(), "audio-embeddings"), onWarning }: EmbeddingCacheOptions = {}) {
    this.#dir = dir;
    this.#onWarning = onWarning;
  }

  /** Whether there may be embeddings of this encoder. */
  has(encoder: string): Promise<boolean> {
    return access(path.join(this.#dir, encoder)).then(
      () => true,
      () => false,
    );
  }

  /** The embedding of an input; `undefined` when it is missing or its file is damaged. */
  async read(encoder: string, input: string): Promise<Float32Array | undefined> {
    const bytes = await readFile(this.#file(encoder, input)).catch(() => undefined);
    const values = bytes?.subarray(digestBytes);
    if (!values || !bytes?.subarray(0, digestBytes).equals(digest(encoder, input, values))) return undefined;
    return new Float32Array(new Uint8Array(values).buffer);
  }

  /** Keeps the embedding of an input. */
  async write(encoder: string, input: string, embedding: Float32Array): Promise<void> {
    if (!this.#writes) return;
    const values = new Uint8Array(embedding.buffer, embedding.byteOffset, embedding.byteLength);
    const content = [digest(encoder, input, values), values];
    try {
      // What a power cut damages is computed again, so nothing waits for the disk.
      await writeFileAtomic(this.#file(encoder, input), content, { durable: false });
    } catch (error) {
      if (!this.#writes) return;
      this.#writes = false;
      const reason = error instanceof Error ? error.message : String(error);
      this.#onWarning?.(`audio embeddings are not kept for later runs: ${reason}`);
    }
  }

  #file(encoder: string, input: string): string {
    return path.join(this.#dir, encoder, input.slice(0, 2), input.slice(2));
  }
}

/** What a file begins with: it holds these values, and under this name. */
function digest(encoder: string, input: string, values: Uint8Array): Buffer {
  return createHash("sha256").update(encoder).update(input).update(values).digest();
}
