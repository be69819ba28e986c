/** Public encoder weights, in a cache folder that all projects of a user share. */
import { access, readFile, rename, stat } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { CheckpointError } from "../../errors.js";
import { cacheDir } from "../../node/cache-dir.js";
import { removeStale, writeFileAtomic } from "../../node/files.js";
import { lockBeside, withLock } from "../../node/lock.js";
import { asOutputError } from "../../node/system-error.js";
import { withFileSource } from "../node/file-source.js";
import { hashFile } from "../node/hash-file.js";
import { listWeights, type WeightListing } from "../state-dict.js";
import { type DownloadOptions, discardPart, downloadToPart, forgetPartState } from "./download.js";
import { type PretrainedWeights, pretrainedWeights } from "./registry.js";

/** Options of `pullWeights`. */
export interface PullOptions extends DownloadOptions {
  /** Another address, or a file. Default: the publisher's address. */
  from?: string | undefined;
  /** The cache folder. Default: `cacheDir()`. */
  cacheDir?: string | undefined;
}

/** Weights in the cache. */
export interface PulledWeights {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
  /**
   * What the hash was compared with: the digits that the publisher gives, the hash recorded at the first download,
   * or nothing, this being the first.
   */
  readonly checkedAgainst: "publisher" | "record" | "nothing";
  /** The file was in the cache already. */
  readonly fromCache: boolean;
}

/** Path of the weights called `name` if they are in the cache. Throws `ConfigError` for an unknown name. */
export async function cachedWeights(
  name: string,
  options: { cacheDir?: string | undefined } = {},
): Promise<string | undefined> {
  const file = cachePath(pretrainedWeights(name), options.cacheDir);
  const found = await access(file).then(
    () => true,
    () => false,
  );
  return found ? file : undefined;
}

/**
 * Brings the public weights called `name` into the cache and checks their SHA-256: against the digits that the publisher
 * gives, and against the hash recorded at the first download. The next call continues a broken download.
 * Throws `ConfigError` for an unknown name, `CheckpointError` for a failed download or wrong content, `OutputError`.
 */
export async function pullWeights(name: string, options: PullOptions = {}): Promise<PulledWeights> {
  const weights = pretrainedWeights(name);
  const file = cachePath(weights, options.cacheDir);
  const recorded = await readRecord(file);
  if (options.from === undefined && (await isFile(file))) {
    const cached = await check(weights, file, recorded, options);
    if (cached.fault === undefined) return { ...cached.result, path: file, fromCache: true };
    // The file in the cache is damaged: it is downloaded again.
  }
  const part = `${file}.part`;
  const otherwise = "choose another cache folder with the environment variable AVSEG_CACHE";
  return withLock(lockBeside(file), { what: file, task: "avseg weights pull", otherwise }, async () => {
    await removeStale(path.dirname(file));
    const source = options.from ?? weights.url;
    if (/^https?:\/\//i.test(source)) await downloadToPart(source, part, options);
    else await copyIn(source, part, options);
    const { result, fault } = await check(weights, part, recorded, options);
    if (fault !== undefined) {
      await discardPart(part);
      throw new CheckpointError(`${source}: ${fault}`, {
        hint: recorded?.startsWith(weights.sha256Prefix ?? "")
          ? `The file was not kept. If the publisher replaced it, delete ${recordPath(file)} and pull again.`
          : "The file was not kept. If a proxy altered it, download it yourself and pass --from FILE.",
      });
    }
    try {
      requireMarks(weights, await withFileSource(part, listWeights), part);
    } catch (error) {
      await discardPart(part);
      if (!(error instanceof CheckpointError)) throw error;
      throw new CheckpointError(error.message.replace(part, source), { hint: error.hint, cause: error });
    }
    try {
      await rename(part, file);
    } catch (error) {
      throw asOutputError(error, file);
    }
    await forgetPartState(part);
    await writeFileAtomic(recordPath(file), `${result.sha256}  ${path.basename(file)}\n`);
    return { ...result, path: file, fromCache: false };
  });
}

/** Throws `CheckpointError` for a readable file that does not hold the weights. */
function requireMarks({ marks, model }: PretrainedWeights, { tensors }: WeightListing, file: string): void {
  if (marks === undefined) return;
  const shape = marks.shape.join();
  const found = [...tensors.values()].filter((tensor) => tensor.shape.join() === shape).length;
  if (found === marks.count) return;
  throw new CheckpointError(
    `${file}: expected ${model}, which has ${marks.count} tensors of shape [${shape}], found ${found}`,
    { hint: "The file was not kept; `avseg weights inspect FILE --keys` shows what it holds." },
  );
}

function cachePath(weights: PretrainedWeights, dir: string | undefined): string {
  return path.join(dir ?? cacheDir(), "weights", path.posix.basename(new URL(weights.url).pathname));
}

/** Where a file's hash is recorded, in the form that `sha256sum -c` reads. */
function recordPath(file: string): string {
  return `${file}.sha256`;
}

async function readRecord(file: string): Promise<string | undefined> {
  const text = await readFile(recordPath(file), "utf8").catch(() => "");
  return /^[0-9a-f]{64}/.exec(text)?.[0];
}

async function check(
  weights: PretrainedWeights,
  file: string,
  recorded: string | undefined,
  { signal }: { signal?: AbortSignal | undefined },
) {
  const sha256 = await hashFile(file, signal);
  const wrong = [weights.sha256Prefix, recorded].find((e) => e !== undefined && !sha256.startsWith(e));
  const checkedAgainst = weights.sha256Prefix ? "publisher" : recorded ? "record" : "nothing";
  const bytes = (await stat(file)).size;
  return {
    result: { name: weights.name, bytes, sha256, checkedAgainst } as const,
    fault:
      wrong === undefined
        ? undefined
        : `expected a SHA-256 beginning with ${wrong.slice(0, 8)}, found ${sha256}`,
  };
}

async function copyIn(from: string, part: string, { signal, onProgress }: PullOptions): Promise<void> {
  const source = from.startsWith("file://") ? fileURLToPath(from) : from;
  await withFileSource(source, async (file) => {
    async function* pieces(): AsyncGenerator<Uint8Array> {
      const step = 1 << 24;
      for (let done = 0; done < file.size; done += step) {
        const piece = await file.read(done, Math.min(step, file.size - done));
        yield piece;
        onProgress?.({ done: done + piece.length, total: file.size });
      }
    }
    await discardPart(part);
    await writeFileAtomic(part, pieces(), signal === undefined ? {} : { signal });
  });
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (s) => s.isFile(),
    () => false,
  );
}
