/**
 * Opened models on disk: each as ONNX Runtime has optimized it for this processor, with its weights in a file that is
 * mapped into memory. Opening such a model reads neither the checkpoint nor optimizes anything, and the results are the
 * same to the bit.
 *
 * An entry is a folder, named by the bytes of its checkpoint and the hash of what it was made of, so that none of another
 * checkpoint's entries is read. It is written under a temporary name and renamed.
 */
import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import path from "node:path";
import { ConfigError } from "../../errors.js";
import { cacheDir } from "../../node/cache-dir.js";
import { ensureWritableDir, removeStale, temporaryPath } from "../../node/files.js";
import { sha256Of } from "../../node/sha256.js";
import { optimizedFiles } from "../../runtime/runtime.js";
import {
  bootId,
  type FileStamp,
  intactEntry,
  type ModelRecord,
  matchSources,
  readRecord,
  recordFile,
  sameStamp,
  stampOf,
  steadyHash,
  writeRecord,
} from "./cached-model.js";

/** The bound of the cache where nothing else is set, in bytes. */
export const defaultMaxBytes = 4e9;
/** Models of fewer bytes of weights open as fast without the cache. */
const defaultMinBytes = 16 * 2 ** 20;

/** Options of a `ModelCache`. */
export interface ModelCacheOptions {
  /** Default: `models` in the shared cache folder. */
  readonly dir?: string | undefined;
  /** Where the entries take more, those that were not used for longest are removed. Default: `defaultMaxBytes`. */
  readonly maxBytes?: number | undefined;
  /** Models of fewer bytes of weights are not kept: they open at once. Default: 16 MiB. */
  readonly minBytes?: number | undefined;
  /** Called when the folder cannot be written, so that nothing is kept. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** An opened model that was found. */
export interface FoundModel {
  readonly folder: string;
  readonly record: ModelRecord;
  /** The graph. Its weights lie in `folder`. */
  readonly model: Uint8Array<ArrayBuffer>;
}

/** An opened model as `ModelCache.list` shows it. */
export interface ListedModel {
  readonly folder: string;
  readonly record: ModelRecord;
  readonly bytes: number;
  readonly lastUsed: Date;
}

/** What `ModelCache.keep` records beside what it finds out itself. */
export type KeptFacts = Omit<ModelRecord, "format" | "request" | "sources" | "modelSha256" | "weights"> & {
  /** Computes the hash of the request. */
  readonly request: () => Promise<string>;
  /** The files that the model was made of, the checkpoint first, as they were before they were read. */
  readonly sources: readonly { readonly path: string; readonly stamp: FileStamp }[];
};

/**
 * The cache that the environment asks for: `AVSEG_MODEL_CACHE` is `off`, or a bound such as `10GB` or `500MB`. `undefined`
 * where it is off. Throws `ConfigError` for another value.
 */
export function modelCache(options: ModelCacheOptions = {}): ModelCache | undefined {
  const setting = process.env.AVSEG_MODEL_CACHE?.trim() ?? "";
  if (/^(off|0)$/i.test(setting)) return undefined;
  if (setting === "") return new ModelCache(options);
  const { amount, unit } = /^(?<amount>\d+(\.\d+)?)\s*(?<unit>[GM]B)$/i.exec(setting)?.groups ?? {};
  if (amount === undefined || unit === undefined) {
    throw new ConfigError(`AVSEG_MODEL_CACHE: expected off or a size such as 4GB, found ${setting}`, {
      hint: "Set AVSEG_MODEL_CACHE to a number with GB or MB, to off, or unset it.",
    });
  }
  return new ModelCache({ maxBytes: Number(amount) * (/g/i.test(unit) ? 1e9 : 1e6), ...options });
}

/** Opened models by what they were made of. Any number of processes may use one folder. A fault of it ends no opening. */
export class ModelCache {
  readonly dir: string;
  readonly maxBytes: number;
  readonly minBytes: number;
  readonly #onWarning: ((message: string) => void) | undefined;

  constructor({
    dir = path.join(cacheDir(), "models"),
    maxBytes = defaultMaxBytes,
    minBytes = defaultMinBytes,
    onWarning,
  }: ModelCacheOptions = {}) {
    this.dir = dir;
    this.maxBytes = maxBytes;
    this.minBytes = minBytes;
    this.#onWarning = onWarning;
  }

  /**
   * The model that `request` opened from `checkpoint` as it is now. Damaged entries are removed on the way. The request's
   * hash is computed only where an entry has a checkpoint of the same size.
   */
  async find(request: () => Promise<string>, checkpoint: string): Promise<FoundModel | undefined> {
    const bytes = (await stampOf(checkpoint))?.bytes;
    for (const folder of await this.#folders(`${bytes}-`)) {
      const record = await readRecord(folder);
      if (record === undefined) await removeFolder(folder);
      if (record?.request !== (await request())) continue;
      const matched = await matchSources(record, path.resolve(checkpoint));
      if (matched === undefined) continue;
      const intact = await intactEntry(folder, matched);
      if (intact === undefined) {
        await removeFolder(folder);
        continue;
      }
      const now = new Date();
      // In a folder that is read-only by now, the model can be used all the same.
      if (intact.record !== record) await writeRecord(folder, intact.record).catch(() => undefined);
      else await utimes(path.join(folder, recordFile), now, now).catch(() => undefined);
      return { folder, ...intact };
    }
    return undefined;
  }

  /**
   * A new folder for the files of a model that is being opened; `undefined` where none can be made, with a warning if
   * `warns`.
   */
  async begin({ warns }: { readonly warns: boolean }): Promise<string | undefined> {
    const folder = temporaryPath(this.dir);
    try {
      await ensureWritableDir(this.dir);
      await mkdir(folder);
    } catch (error) {
      if (warns) this.#warn(error);
      return undefined;
    }
    await removeStale(this.dir);
    return folder;
  }

  /** Warns where the folder cannot be written: for programs whose models are opened by other processes. */
  async check(): Promise<void> {
    await ensureWritableDir(this.dir).catch((error: unknown) => this.#warn(error));
  }

  #warn(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#onWarning?.(`opened models are not cached: ${reason}`);
  }

  /**
   * Makes an entry of the files in `folder`, which `begin` made, and removes the entries that exceed the bound. Without an
   * entry, because a file changed or is missing, or `signal` is aborted, the folder is removed.
   */
  async keep(folder: string, facts: KeptFacts, signal?: AbortSignal): Promise<void> {
    try {
      const record = await this.#recordOf(folder, facts, signal);
      if (record && !signal?.aborted) {
        await writeRecord(folder, record);
        const contents = record.sources.map(({ sha256 }) => sha256);
        const hash = sha256Of([record.request, ...contents].join()).slice(0, 32);
        await rename(folder, path.join(this.dir, `${record.sources[0]?.stamp.bytes}-${hash}`));
        await this.#prune();
      }
    } catch {
      // Another process kept the same model, or the disk is full.
    } finally {
      await removeFolder(folder);
    }
  }

  /** Removes an entry that does not open, or a folder of `begin`. */
  discard(folder: string): Promise<void> {
    return removeFolder(folder);
  }

  /** All entries, the last used first. */
  async list(): Promise<ListedModel[]> {
    const entries = await Promise.all((await this.#folders()).map(listed));
    return entries
      .flatMap((entry) => entry ?? [])
      .sort((a, b) => b.lastUsed.getTime() - a.lastUsed.getTime());
  }

  /** Removes all entries; the number of bytes that they took. */
  async clear(): Promise<number> {
    await removeStale(this.dir);
    let bytes = 0;
    for (const folder of await this.#folders()) {
      bytes += await sizeOfFolder(folder);
      await removeFolder(folder);
    }
    return bytes;
  }

  /** The entries whose names begin with `prefix`. */
  async #folders(prefix = ""): Promise<string[]> {
    const entries = await readdir(this.dir, { withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && entry.name.startsWith(prefix))
      .map(({ name }) => path.join(this.dir, name));
  }

  async #recordOf(
    folder: string,
    { request, sources, ...facts }: KeptFacts,
    signal: AbortSignal | undefined,
  ): Promise<ModelRecord | undefined> {
    const weights = path.join(folder, optimizedFiles.weights);
    const stamp = await stampOf(weights);
    const size = await sizeOfFolder(folder);
    if (stamp === undefined || stamp.bytes < this.minBytes || size > this.maxBytes) return undefined;
    const hashed: ModelRecord["sources"] = [];
    for (const { path: file, stamp: before } of sources) {
      const sha256 = await steadyHash(file, signal);
      const after = await stampOf(file);
      if (sha256 === undefined || after === undefined || !sameStamp(before, after)) return undefined;
      hashed.push({ path: file, stamp: after, sha256 });
    }
    const [modelSha256, sha256] = [
      await steadyHash(path.join(folder, optimizedFiles.model), signal),
      await steadyHash(weights, signal),
    ];
    if (modelSha256 === undefined || sha256 === undefined) return undefined;
    return {
      format: "avseg-opened-model-1",
      ...facts,
      request: await request(),
      sources: hashed,
      modelSha256,
      weights: { stamp, sha256, boot: await bootId() },
    };
  }

  async #prune(): Promise<void> {
    let bytes = 0;
    for (const entry of await this.list()) {
      bytes += entry.bytes;
      if (bytes > this.maxBytes) await removeFolder(entry.folder);
    }
  }
}

async function listed(folder: string): Promise<ListedModel | undefined> {
  const record = await readRecord(folder);
  const status = await stat(path.join(folder, recordFile)).catch(() => undefined);
  if (record === undefined || status === undefined) return undefined;
  return { folder, record, bytes: await sizeOfFolder(folder), lastUsed: status.mtime };
}

async function sizeOfFolder(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const stamps = await Promise.all(names.map((name) => stampOf(path.join(folder, name))));
  return stamps.reduce((sum, stamp) => sum + (stamp?.bytes ?? 0), 0);
}

/** Removes a folder; what Windows keeps because it is mapped, is removed another time. */
async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch(() => undefined);
}
