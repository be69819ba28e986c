/** Writes files atomically, with errors that name the file and the reason. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { access, constants, type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { isRunning, processSpace } from "./process.js";
import { asOutputError, errorCode } from "./system-error.js";

/** Creates `dir` with its parents and checks that it is writable. Throws `OutputError`. */
export async function ensureWritableDir(dir: string): Promise<void> {
  try {
    await makeDir(path.resolve(dir));
    await access(dir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw asOutputError(error, dir);
  }
}

/** Creates a folder with its parents. `mkdir`'s own recursion never ends where a folder refuses children, as in /proc. */
async function makeDir(dir: string, again = true): Promise<void> {
  try {
    await mkdir(dir);
  } catch (error) {
    const parent = path.dirname(dir);
    if (errorCode(error) === "ENOENT" && parent !== dir && again) {
      if (!existsSync(parent)) await makeDir(parent);
      await makeDir(dir, false); // also when another process has just created the parent
      return;
    }
    // For an existing folder, the code depends on the system.
    if (!(await isDir(dir))) throw error;
  }
}

async function isDir(dir: string): Promise<boolean> {
  return stat(dir).then(
    (status) => status.isDirectory(),
    () => false,
  );
}

const TEMPORARY = /^\.tmp-(?<pid>[1-9]\d*)-(?<space>[0-9a-f]{8})-[0-9a-f]{12}(\.\w+)?$/;

/**
 * A new path in `dir` for a file or folder that this process has not finished writing; an extension may be appended.
 * The name starts with a dot, which hides it in listings, and is short, as file systems limit the length of names.
 */
export function temporaryPath(dir: string): string {
  return path.join(dir, `.tmp-${process.pid}-${processSpace()}-${randomBytes(6).toString("hex")}`);
}

/**
 * Removes the temporary files and folders of killed processes from `dir`. Those of other machines or containers stay, as
 * their processes cannot be seen from here, and so do those that cannot be removed.
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

/** Content of a file: all at once, or in pieces. */
export type FileContent = Uint8Array | string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** How `writeFileAtomic` and `writeFilesAtomic` write. */
export interface WriteOptions {
  readonly signal?: AbortSignal | undefined;
  /** `false`: the file is not synced, which is faster, but a power cut may leave it damaged. Default: `true`. */
  readonly durable?: boolean | undefined;
}

/**
 * Writes `data` to `target` atomically: readers see the old file or the complete new one, also after a crash.
 * The data is written to a temporary file in the same folder (created if absent), synced, and renamed; on failure or
 * abort the temporary file is removed. Throws `OutputError` when it cannot be written, and the signal's reason.
 */
export function writeFileAtomic(
  target: string,
  data: FileContent,
  options: WriteOptions = {},
): Promise<void> {
  return writeFilesAtomic([{ target, data }], options);
}

/**
 * Writes files that belong together like `writeFileAtomic`. None is renamed before all are written, so that a failure
 * or an abort keeps all old files.
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
      await writeContent(temporary, data, { durable, signal });
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

async function writeContent(
  file: string,
  data: FileContent,
  { signal, durable }: WriteOptions,
): Promise<void> {
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

/** Writes all of `bytes` at the position of the file, in pieces, as one call writes 2 GiB at most. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  const step = 1 << 28;
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, Math.min(step, bytes.length - done));
    done += bytesWritten;
  }
}

/** Makes a rename durable. Not every system can sync a folder; the rename is atomic nevertheless. */
export async function syncDir(dir: string): Promise<void> {
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
