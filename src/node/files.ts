/** Writing files so that nobody ever sees half of one, and saying plainly when it cannot be done. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { access, constants, type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { OutputError } from "../errors.js";
import { isRunning, processSpace } from "./process.js";
import { asOutputError, errorCode } from "./system-error.js";

/** The path of what comes with avseg, e.g. `packagePath("config", "s4", "pvt2.yaml")`. */
export function packagePath(...parts: string[]): string {
  return path.resolve(import.meta.dirname, "..", "..", "..", ...parts);
}

/** `file`, or where there is none of that name, the one that comes with avseg; `undefined` where both are missing. */
export function ownOrShipped(file: string): string | undefined {
  return [file, packagePath(file)].find((candidate) => existsSync(candidate));
}

/** Creates `dir` with its parents and checks that files can be made in it. Throws `OutputError`. */
export async function ensureWritableDir(dir: string): Promise<void> {
  try {
    await makeDir(path.resolve(dir));
    await access(dir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw asOutputError(error, dir);
  }
}

/** Not `mkdir`'s own recursion: that never ends where a folder refuses children with ENOENT, as below /proc. */
async function makeDir(dir: string, again = true): Promise<void> {
  try {
    await mkdir(dir);
  } catch (error) {
    const parent = path.dirname(dir);
    if (errorCode(error) === "ENOENT" && parent !== dir && again) {
      if (!existsSync(parent)) await makeDir(parent);
      await makeDir(dir, false); // also where another writer has just made the parent
      return;
    }
    // A folder that is there already gives one of several codes, depending on the system.
    if (!(await isDir(dir))) throw error;
  }
}

async function isDir(dir: string): Promise<boolean> {
  return stat(dir).then(
    (status) => status.isDirectory(),
    () => false,
  );
}

/**
 * The path `outDir/part/part/...`, for parts from untrusted input (a clip's name in a table).
 * Throws `OutputError` when it would lie outside `outDir`, or be `outDir` itself.
 */
export function safeJoin(outDir: string, ...parts: string[]): string {
  const base = path.resolve(outDir);
  const target = path.resolve(base, ...parts.map((p) => `./${p}`));
  const relative = path.relative(base, target);
  const leaves = relative === "" || relative === ".." || relative.startsWith(`..${path.sep}`);
  if (leaves || path.isAbsolute(relative) || parts.some((p) => p.includes("\0"))) {
    const name = JSON.stringify(parts.join("/"));
    throw new OutputError(`the name ${name} leads out of the output folder ${outDir}`, {
      hint: "correct the name in the file that it comes from",
    });
  }
  return path.join(outDir, relative);
}

const TEMPORARY = /^\.tmp-(?<pid>[1-9]\d*)-(?<space>[0-9a-f]{8})-[0-9a-f]{12}(\.\w+)?$/;

/**
 * A new path in `dir` for what this process has not finished writing, a file or a folder; an extension may follow.
 * The name begins with a dot and is short, so that neither listings nor limits on names get in the way.
 */
export function temporaryPath(dir: string): string {
  return path.join(dir, `.tmp-${process.pid}-${processSpace()}-${randomBytes(6).toString("hex")}`);
}

/**
 * Removes from `dir` what processes that were killed left there under a `temporaryPath`. What another machine or
 * container wrote stays: whether its process still runs cannot be seen from here. So does what cannot be removed.
 */
export async function removeStale(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  const stale = names.filter((name) => {
    const { pid, space } = TEMPORARY.exec(name)?.groups ?? {};
    return space !== undefined && isRunning({ pid: Number(pid), space }) === false;
  });
  const remove = (name: string) => rm(path.join(dir, name), { recursive: true, force: true });
  await Promise.allSettled(stale.map(remove));
}

/** What `writeFileAtomic` accepts: everything at once, or in pieces as they become known. */
export type FileContent = Uint8Array | string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** How `writeFileAtomic` and `writeFilesAtomic` write. */
export interface WriteOptions {
  readonly signal?: AbortSignal | undefined;
  /** `false`: nothing is synced, which is quick, but a power cut may leave a damaged file. Default `true`. */
  readonly durable?: boolean | undefined;
}

/**
 * Writes `data` to `target`: readers see the old file or the whole new one, never a part, also after a crash.
 * It goes to a temporary name in the same folder (made if absent), is synced, then renamed; on any failure or
 * abort the temporary file is removed. Throws `OutputError` when it cannot be written, the signal's reason on abort.
 */
export function writeFileAtomic(
  target: string,
  data: FileContent,
  options: WriteOptions = {},
): Promise<void> {
  return writeFilesAtomic([{ target, data }], options);
}

/**
 * Writes files that belong together as `writeFileAtomic` does: none is renamed before all are written, so that a
 * failure or an abort leaves all of the old ones.
 */
export async function writeFilesAtomic(
  files: readonly { readonly target: string; readonly data: FileContent }[],
  { signal, durable = true }: WriteOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  const staged: { target: string; temporary: string }[] = [];
  let current = "";
  try {
    for (const { target, data } of files) {
      current = target;
      await ensureWritableDir(path.dirname(target));
      const temporary = temporaryPath(path.dirname(target));
      staged.push({ target, temporary });
      await writeWhole(temporary, data, { durable, signal });
      if (await isDir(target)) throw Object.assign(new Error("a folder"), { code: "EISDIR" });
    }
    signal?.throwIfAborted();
    for (const { target, temporary } of staged) {
      current = target;
      await rename(temporary, target);
    }
  } catch (error) {
    await Promise.allSettled(staged.map(({ temporary }) => rm(temporary, { force: true })));
    throw asOutputError(error, current);
  }
  if (!durable) return;
  for (const dir of new Set(files.map(({ target }) => path.dirname(target)))) await syncDir(dir);
}

async function writeWhole(file: string, data: FileContent, { signal, durable }: WriteOptions): Promise<void> {
  const handle = await open(file, "wx");
  try {
    for await (const piece of pieces(data)) {
      signal?.throwIfAborted();
      await writeAll(handle, piece);
    }
    if (durable) await handle.sync();
  } finally {
    await handle.close();
  }
}

function pieces(data: FileContent): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof data === "string") return [Buffer.from(data, "utf8")];
  return data instanceof Uint8Array ? [data] : data;
}

/** Writes all of `bytes` at the file's position; one call takes 2 GiB at most, hence the pieces. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  const step = 1 << 28;
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, Math.min(step, bytes.length - done));
    done += bytesWritten;
  }
}

/** Makes the rename durable. Not every system can sync a folder; the rename is atomic all the same. */
async function syncDir(dir: string): Promise<void> {
  try {
    const handle = await open(dir, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Windows, and some network file systems.
  }
}
