/**
 * Locks: a folder or file that one process at a time may write, also where several hosts share a file system.
 *
 * A lock is a small file that names its holder. It is created by a hard link, which either makes the file with all of
 * its content or fails, on network file systems too. A lock is abandoned, and taken over, when its holder is known to
 * have ended (same machine and container), or has not refreshed it for `staleSeconds` (another one).
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { type FileHandle, link, open, readFile, rm, rmdir, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { LockedError } from "../errors.js";
import { ensureWritableDir, temporaryPath } from "./files.js";
import { isRunning, ownIdentity } from "./process.js";
import { sha256Of } from "./sha256.js";
import { asOutputError, errorCode } from "./system-error.js";

/** A holder refreshes its lock this often. */
export const refreshSeconds = 10;

/** A lock held on another host is abandoned when it was last refreshed so long ago. */
export const staleSeconds = 120;

/** What a lock file says of its holder. */
const holderSchema = z.object({
  format: z.literal("avseg-lock"),
  /** Unique to this holding of the lock. */
  token: z.string().regex(/^[0-9a-f]{12}$/),
  pid: z.int().positive(),
  host: z.string(),
  space: z.string(),
  birth: z.string().optional(),
  /** What the holder does, e.g. `avseg train`. */
  task: z.string(),
  /** ISO date. */
  since: z.string(),
});
type Holder = z.infer<typeof holderSchema>;

/** A lock file as it was found. */
interface Found {
  /** `undefined` for a file that is not a lock of ours, or is damaged. */
  readonly holder: Holder | undefined;
  /** When it was last refreshed, by the file system's clock. */
  readonly refreshedMs: number;
}

/** Options of `acquireLock`. */
export interface LockOptions {
  /** What is locked, for messages: `work_dir/s4/pvt2`. */
  readonly what: string;
  /** What the holder does, for the message that another process gets: `avseg train`. */
  readonly task: string;
  /** What a user who is refused can do besides waiting: `choose another folder with --out`. */
  readonly otherwise: string;
  /** Default: `refreshSeconds`. */
  readonly refreshSeconds?: number | undefined;
}

/** A lock that this process holds. */
export interface Lock {
  /** Throws `LockedError` when another process has taken the lock over, e.g. while this machine was suspended. */
  assertHeld(): Promise<void>;
  /** Gives the lock back; safe to call twice. */
  release(): Promise<void>;
}

/** The lock file of a folder that one process at a time may write. */
export function lockInside(folder: string): string {
  return path.join(folder, ".avseg-lock");
}

/**
 * The lock file of a file, or of a folder that is created and removed as a whole. Long names are cut, as file systems
 * limit their length.
 */
export function lockBeside(target: string): string {
  const name = path.basename(target);
  const digest = sha256Of(name).slice(0, 8);
  const short = name.length <= 40 ? name : `${name.slice(0, 31)}-${digest}`;
  return path.join(path.dirname(target), `.${short}.avseg-lock`);
}

/**
 * Runs `work` while holding the lock `file`. Throws what `acquireLock` throws.
 *
 * @example
 * await withLock(lockBeside("model.onnx"), { what: "model.onnx", task: "avseg export", otherwise: "..." }, write);
 */
export async function withLock<T>(
  file: string,
  options: LockOptions,
  work: (lock: Lock) => Promise<T>,
): Promise<T> {
  const lock = await acquireLock(file, options);
  try {
    return await work(lock);
  } finally {
    await lock.release();
  }
}

/**
 * Takes the lock `file`; takes over one that its holder has abandoned. Its folder is created if absent, and removed
 * again on release if it is still empty. Throws `LockedError` naming the holder (process, host, start), `OutputError`
 * when the folder or the lock cannot be written.
 */
export async function acquireLock(file: string, options: LockOptions): Promise<Lock> {
  const token = randomBytes(6).toString("hex");
  const since = new Date().toISOString();
  const own: Holder = { format: "avseg-lock", token, ...ownIdentity(), task: options.task, since };
  const folder = path.dirname(file);
  const created = await makeFolders(folder);
  try {
    const handle = await take(file, own, options);
    return hold({ file, own, options, created, handle });
  } catch (error) {
    await removeEmpty(created);
    throw asOutputError(error, folder);
  }
}

/** Creates a folder with its parents; those that did not exist, the deepest first. */
async function makeFolders(folder: string): Promise<string[]> {
  const created: string[] = [];
  for (let dir = path.resolve(folder); !existsSync(dir); dir = path.dirname(dir)) created.push(dir);
  await ensureWritableDir(folder);
  return created;
}

async function removeEmpty(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const removed = await rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!removed) return;
  }
}

const textOf = (holder: Holder): string => `${JSON.stringify(holder)}\n`;

/** Creates the lock file, waiting for other processes that take over the same abandoned lock. */
async function take(file: string, own: Holder, options: LockOptions): Promise<FileHandle> {
  for (let attempt = 0; ; attempt++) {
    const handle = await createLockFile(file, textOf(own));
    if (handle !== undefined) return handle;
    const found = await readLock(file);
    if (attempt >= 100 || (found && !(await isAbandoned(file, found)))) throw refusal(options, found?.holder);
    if (found === undefined) continue; // released in the meantime
    // One process removes it: holding a lock that is named after the abandoned one, which never comes back.
    const name = found.holder?.token ?? "damaged";
    try {
      await withLock(`${file}-${name}`, options, async () => {
        const now = await readLock(file);
        if (
          now !== undefined &&
          now.holder?.token === found.holder?.token &&
          (await isAbandoned(file, now))
        ) {
          await rm(file, { force: true });
        }
      });
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      await sleep(50);
    }
  }
}

/**
 * Creates a file with content that nobody sees incomplete; `undefined` where the file exists. File systems without
 * hard links create it empty and write into it.
 */
export async function createLockFile(
  file: string,
  content: string,
  makeLink: (from: string, to: string) => Promise<void> = link,
): Promise<FileHandle | undefined> {
  const temporary = temporaryPath(path.dirname(file));
  const handle = await open(temporary, "wx+");
  try {
    await handle.writeFile(content);
    await makeLink(temporary, file);
    return handle;
  } catch (error) {
    // A network file system may repeat a request that succeeded, and report that the file exists.
    if (errorCode(error) === "EEXIST" && (await readFile(file, "utf8").catch(() => "")) === content)
      return handle;
    await handle.close();
    if (errorCode(error) === "EEXIST") return undefined;
    if (!["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"].includes(errorCode(error) ?? "")) throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  try {
    const direct = await open(file, "wx+");
    await direct.writeFile(content);
    return direct;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return undefined;
    throw error;
  }
}

async function readLock(file: string): Promise<Found | undefined> {
  try {
    const [text, { mtimeMs }] = [await readFile(file, "utf8"), await stat(file)];
    let data: unknown;
    try {
      data = JSON.parse(text);
    } catch {
      // damaged, or not written yet
    }
    return { holder: holderSchema.safeParse(data).data, refreshedMs: mtimeMs };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function isAbandoned(file: string, { holder, refreshedMs }: Found): Promise<boolean> {
  const running = holder && isRunning(holder);
  if (running !== undefined) return !running;
  return (await fileSystemNow(file)) - refreshedMs > staleSeconds * 1000;
}

/** The clock that dates files beside `file`: that of a file server may differ from ours. */
async function fileSystemNow(file: string): Promise<number> {
  const probe = temporaryPath(path.dirname(file));
  try {
    const handle = await open(probe, "wx");
    await handle.close();
    return (await stat(probe)).mtimeMs;
  } finally {
    await rm(probe, { force: true });
  }
}

function refusal({ what, otherwise }: LockOptions, holder: Holder | undefined): LockedError {
  const who = holder
    ? `${holder.task} (process ${holder.pid} on ${holder.host}, started ${holder.since})`
    : "a process that cannot be identified";
  const elsewhere = holder === undefined || isRunning(holder) === undefined;
  const expiry = elsewhere ? ` A lock of another host expires ${staleSeconds} s after its process died.` : "";
  return new LockedError(`${what}: in use by ${who}`, {
    hint: `Wait until it ends, or ${otherwise}.${expiry}`,
  });
}

interface Held {
  readonly file: string;
  readonly own: Holder;
  readonly options: LockOptions;
  /** Folders to remove again if nothing is written to them. */
  readonly created: readonly string[];
  readonly handle: FileHandle;
}

/** The held lock. It is refreshed through the open file, so that a lock of another process is never written to. */
function hold({ file, own, options, created, ...held }: Held): Lock {
  let { handle } = held;
  const refresh = async (): Promise<void> => {
    await handle.write(textOf(own), 0);
    await handle.sync(); // other hosts see what has reached the server
  };
  // A refresh that fails is not an error: the lock is held until another process takes it.
  const timer = setInterval(
    () => void refresh().catch(() => undefined),
    (options.refreshSeconds ?? refreshSeconds) * 1000,
  );
  timer.unref();
  let released: Promise<void> | undefined;
  return {
    assertHeld: async () => {
      let found = await readLock(file);
      if (found === undefined) {
        // Removed by hand: it is ours again if no other process was faster.
        const again = await createLockFile(file, textOf(own));
        if (again) {
          await handle.close();
          handle = again;
          return;
        }
        found = await readLock(file);
      }
      if (found?.holder?.token === own.token) return;
      const who = found?.holder ? `process ${found.holder.pid} on ${found.holder.host}` : "another process";
      throw new LockedError(`${options.what}: ${who} took it over, as this process did not respond`, {
        hint: `Check what both processes wrote, then run one of them again.`,
      });
    },
    release: () => {
      released ??= (async () => {
        clearInterval(timer);
        const found = await readLock(file).catch(() => undefined);
        if (found?.holder?.token === own.token) await rm(file, { force: true }).catch(() => undefined);
        await handle.close().catch(() => undefined);
        await removeEmpty(created);
      })();
      return released;
    },
  };
}
