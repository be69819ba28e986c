/** Public encoder weights, in a cache folder that all projects of a user share. */
import { access, readFile, rename, stat } from "node:fs/promises";
import path from "node:path";
import { CheckpointError, ConfigError } from "../../errors.js";
import { cacheDir } from "../../node/cache-dir.js";
import { removeStale, writeFileAtomic } from "../../node/files.js";
import { lockBeside, withLock } from "../../node/lock.js";
import { asOutputError } from "../../node/system-error.js";
import { withFileSource } from "../node/file-source.js";
import { hashFile } from "../node/hash-file.js";
import type { PublishedWeights } from "../public/public-weights.js";
import { publishedWeights } from "../public/registry.js";
import { listWeights, type WeightListing } from "../state-dict.js";
import { type DownloadOptions, downloadToPart } from "./download.js";
import { findInFolder, listDriveFolder } from "./drive-folder.js";
import { discardPart, forgetPartState } from "./part.js";
import type { Environment } from "./proxy.js";
import { driveFile, type Source, sourceNamed, sourceOf, withoutCredentials } from "./source.js";

/** Options of `pullWeights`. */
export interface PullOptions extends DownloadOptions {
  /** Another address, a link to a file or folder of Google Drive, or a file. Default: where they are published. */
  readonly from?: string | undefined;
  /** The SHA-256 that the file must have, in hexadecimal. It replaces the one recorded at the first download. */
  readonly sha256?: string | undefined;
  /** The cache folder. Default: `cacheDir()`. */
  readonly cacheDir?: string | undefined;
  /** Throws `CheckpointError` for a readable file of other weights. */
  readonly verify?: ((listing: WeightListing, file: string) => void) | undefined;
}

/** Weights in the cache. */
export interface PulledWeights {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
  /**
   * What the hash was compared with: the digits that the publisher gives, the hash that the caller gives, the one
   * recorded at the first download, or nothing, this being the first.
   */
  readonly checkedAgainst: "publisher" | "given" | "record" | "nothing";
  /** The file was in the cache already. */
  readonly fromCache: boolean;
  /** Where it came from, where it was not in the cache: an address, a path, and in a folder the file's name. */
  readonly source?: string | undefined;
}

/** Path of the weights called `name` if they are in the cache. Throws `ConfigError` for an unknown name. */
export async function cachedWeights(
  name: string,
  options: { readonly cacheDir?: string | undefined } = {},
): Promise<string | undefined> {
  const file = cachePath(publishedWeights(name), options.cacheDir);
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
  const weights = publishedWeights(name);
  const file = cachePath(weights, options.cacheDir);
  const target: Target = { weights, file, recorded: await readRecord(file), options };
  requireHash(options.sha256);
  if (options.from === undefined && (await isFile(file))) {
    const cached = await check(target, file);
    if (cached.fault === undefined) return { ...cached.result, path: file, fromCache: true };
    // The file in the cache is damaged: it is downloaded again.
  }
  const env = options.env ?? process.env;
  const source =
    options.from === undefined ? sourceOf(weights.origin, name, env) : sourceNamed(options.from, env);
  const otherwise = "choose another cache folder with the environment variable AVSEG_CACHE";
  return withLock(lockBeside(file), { what: file, task: "avseg weights pull", otherwise }, async () => {
    await removeStale(path.dirname(file));
    const candidates = await candidatesOf(source, weights, { ...options, env });
    for (const [i, candidate] of candidates.entries()) {
      const { pulled, misfit } = await take(candidate, target);
      if (pulled !== undefined) return pulled;
      if (i + 1 === candidates.length) throw misfit;
    }
    throw new RangeError("no candidates");
  });
}

/** What is pulled, and where to. */
interface Target {
  readonly weights: PublishedWeights;
  readonly file: string;
  /** The hash recorded at the first download. */
  readonly recorded: string | undefined;
  readonly options: PullOptions;
}

/** One file to take, and how messages call it. */
interface Candidate {
  readonly source: Exclude<Source, { readonly kind: "drive-folder" }>;
  readonly shown: string;
}

async function candidatesOf(
  source: Source,
  weights: PublishedWeights,
  options: PullOptions & { readonly env: Environment },
): Promise<Candidate[]> {
  if (source.kind === "file") return [{ source, shown: source.path }];
  if (source.kind === "address") return [{ source, shown: withoutCredentials(source.url) }];
  if (weights.kind !== "model") {
    throw new CheckpointError(`${source.page}: a folder, expected the file of ${weights.name}`, {
      hint: "Pass the address of the file with --from.",
    });
  }
  const { env } = options;
  const files = await listDriveFolder(source.id, options);
  return findInFolder(files, weights, { page: source.page, env }).map((file) => ({
    source: driveFile(file.id, env),
    shown: `${source.page} (${file.path})`,
  }));
}

/**
 * Takes one file into the cache. `misfit` says that it holds other weights, and is not kept then.
 * Throws `CheckpointError` for a failed download or a wrong hash, `OutputError`.
 */
async function take(
  { source, shown }: Candidate,
  target: Target,
): Promise<{ pulled?: PulledWeights | undefined; misfit?: CheckpointError | undefined }> {
  const { weights, file, recorded, options } = target;
  const part = `${file}.part`;
  // A file may hold more than the model, such as the state of its optimizer; a body without an end is not kept.
  const maxBytes = weights.kind === "model" ? 4 * weights.approximateBytes : 2 ** 30;
  if (source.kind === "address") await downloadToPart(source, part, { maxBytes, ...options });
  else await copyIn(source.path, part, options);
  const { result, fault } = await check(target, part);
  if (fault !== undefined) {
    await discardPart(part);
    const isReplaced = options.sha256 === undefined && recorded?.startsWith(weights.sha256Prefix ?? "");
    throw new CheckpointError(`${shown}: ${fault}`, {
      hint: isReplaced
        ? `The file was not kept. If the publisher replaced it, accept it with --sha256 ${result.sha256}.`
        : "The file was not kept. If a proxy altered it, download it yourself and pass it to `avseg weights pull` with --from FILE.",
    });
  }
  try {
    const listing = await withFileSource(part, listWeights);
    requireMarks(weights, listing, part);
    options.verify?.(listing, part);
  } catch (error) {
    await discardPart(part);
    if (!(error instanceof CheckpointError)) throw error;
    const message = error.message.replace(part, shown);
    return { misfit: new CheckpointError(message, { hint: error.hint, cause: error }) };
  }
  try {
    await rename(part, file);
  } catch (error) {
    throw asOutputError(error, file);
  }
  await forgetPartState(part);
  await writeFileAtomic(recordPath(file), `${result.sha256}  ${path.basename(file)}\n`);
  return { pulled: { ...result, path: file, fromCache: false, source: shown } };
}

/** Throws `CheckpointError` for a readable file that does not hold the weights. */
function requireMarks({ marks, title }: PublishedWeights, { tensors }: WeightListing, file: string): void {
  if (marks === undefined) return;
  const shape = marks.shape.join();
  const found = [...tensors.values()].filter((tensor) => tensor.shape.join() === shape).length;
  if (found === marks.count) return;
  throw new CheckpointError(
    `${file}: expected ${title}, which has ${marks.count} tensors of shape [${shape}], found ${found}`,
    { hint: "The file was not kept; `avseg weights inspect FILE --keys` shows what it holds." },
  );
}

function requireHash(sha256: string | undefined): void {
  if (sha256 === undefined || /^[0-9a-f]{64}$/i.test(sha256)) return;
  throw new ConfigError(`${JSON.stringify(sha256)} is not a SHA-256, expected 64 hexadecimal digits`, {
    hint: "Give the whole hash, as `sha256sum FILE` prints it.",
  });
}

function cachePath(weights: PublishedWeights, dir: string | undefined): string {
  return path.join(dir ?? cacheDir(), "weights", weights.file);
}

/** Where a file's hash is recorded, in the form that `sha256sum -c` reads. */
function recordPath(file: string): string {
  return `${file}.sha256`;
}

async function readRecord(file: string): Promise<string | undefined> {
  const text = await readFile(recordPath(file), "utf8").catch(() => "");
  return /^[0-9a-f]{64}/.exec(text)?.[0];
}

async function check({ weights, recorded, options }: Target, file: string) {
  const sha256 = await hashFile(file, options.signal);
  const given = options.sha256?.toLowerCase();
  const expected = [weights.sha256Prefix, given ?? recorded];
  const wrong = expected.find((digits) => digits !== undefined && !sha256.startsWith(digits));
  const checkedAgainst =
    given !== undefined ? "given" : weights.sha256Prefix ? "publisher" : recorded ? "record" : "nothing";
  const bytes = (await stat(file)).size;
  return {
    result: { name: weights.name, bytes, sha256, checkedAgainst } as const,
    fault: wrong && `expected a SHA-256 beginning with ${wrong.slice(0, 8)}, found ${sha256}`,
  };
}

async function copyIn(source: string, part: string, { signal, onProgress }: PullOptions): Promise<void> {
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
    await writeFileAtomic(part, pieces(), { signal });
  });
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (s) => s.isFile(),
    () => false,
  );
}
