import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { tempDir } from "../../test/temp-dir.js";
import { LockedError, OutputError } from "../errors.js";
import { acquireLock, createLockFile, lockBeside, lockInside, staleSeconds, withLock } from "./lock.js";
import { ownIdentity } from "./process.js";

const options = { what: "runs/a", task: "avseg test", otherwise: "choose another folder" };

/** The text of a lock held by another process. */
function lockOf(holder: object): string {
  const own = { format: "avseg-lock", token: "0123456789ab", ...ownIdentity(), task: "avseg train" };
  return JSON.stringify({ ...own, since: "2026-01-02T03:04:05.000Z", ...holder });
}

function endedProcess(): number {
  const { pid } = spawnSync(process.execPath, ["--version"]);
  return pid;
}

test("a second process is refused with the name of the first; release leaves nothing behind", async (t) => {
  const dir = await tempDir(t);
  const file = lockInside(dir);
  const lock = await acquireLock(file, options);
  await lock.assertHeld();
  await assert.rejects(acquireLock(file, options), (error: unknown) => {
    assert.ok(error instanceof LockedError);
    assert.match(
      error.message,
      /^runs\/a: in use by avseg test \(process \d+ on .+, started \d{4}-\d\d-\d\dT[\d:.]+Z\)$/,
    );
    assert.ok(error.message.includes(`process ${process.pid} on ${os.hostname()}`));
    assert.equal(error.hint, "Wait until it ends, or choose another folder.");
    return true;
  });
  await lock.release();
  await lock.release();
  assert.deepEqual(await readdir(dir), []);
  await (await acquireLock(file, options)).release();
});

test("withLock releases after a failure too", async (t) => {
  const dir = await tempDir(t);
  const failing = withLock(lockInside(dir), options, async () => {
    throw new Error("failed");
  });
  await assert.rejects(failing, /failed/);
  assert.deepEqual(await readdir(dir), []);
});

test("a lock whose process has ended is taken over at once", async (t) => {
  const dir = await tempDir(t);
  const file = lockInside(dir);
  await writeFile(file, lockOf({ pid: endedProcess() }));
  const lock = await acquireLock(file, options);
  assert.ok((await readFile(file, "utf8")).includes(`"pid":${process.pid},`));
  await lock.release();
  assert.deepEqual(await readdir(dir), []);
});

test("a process killed with SIGKILL leaves a lock that the next one takes over", async (t) => {
  const dir = await tempDir(t);
  const file = lockInside(dir);
  const script = `
    const { acquireLock } = await import(${JSON.stringify(new URL("./lock.js", import.meta.url).href)});
    await acquireLock(${JSON.stringify(file)}, ${JSON.stringify(options)});
    console.log("held");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script]);
  await new Promise<void>((resolve) => child.stdout.once("data", () => resolve()));
  await assert.rejects(acquireLock(file, options), new RegExp(`process ${child.pid} on`));
  child.kill("SIGKILL");
  await new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await (await acquireLock(file, options)).release();
});

test("a later process with the same id does not hold the lock of an earlier one", async (t) => {
  if (!existsSync("/proc/self/stat")) return t.skip("only Linux tells when a process started");
  const dir = await tempDir(t);
  const file = lockInside(dir);
  const { birth } = ownIdentity();
  await writeFile(file, lockOf({ birth: `${birth}0` }));
  await (await acquireLock(file, options)).release();
  await writeFile(file, lockOf({ birth }));
  await assert.rejects(acquireLock(file, options), LockedError);
});

test("a lock of another host is respected while it is refreshed, and taken over afterwards", async (t) => {
  const dir = await tempDir(t);
  const file = lockInside(dir);
  // The process id is that of an ended process here, which says nothing about the other host.
  await writeFile(file, lockOf({ pid: endedProcess(), host: "elsewhere", space: "00000000" }));
  const age = async (seconds: number) => {
    const then = Date.now() / 1000 - seconds;
    await utimes(file, then, then);
  };
  await age(staleSeconds - 30);
  await assert.rejects(acquireLock(file, options), (error: unknown) => {
    assert.ok(error instanceof LockedError);
    assert.match(error.message, /avseg train \(process \d+ on elsewhere, started 2026-01-02T03:04:05.000Z\)/);
    assert.match(error.hint ?? "", /expires 120 s after its process died\.$/);
    return true;
  });
  await age(staleSeconds + 5);
  await (await acquireLock(file, options)).release();
});

test("damaged locks expire, and anything but a file is refused", async (t) => {
  const dir = await tempDir(t);
  const file = lockInside(dir);
  await writeFile(file, "");
  await assert.rejects(acquireLock(file, options), /runs\/a: in use by a process that cannot be identified/);
  await utimes(file, 1, 1);
  await (await acquireLock(file, options)).release();
  await mkdir(file);
  await assert.rejects(acquireLock(file, options), OutputError);
  await rm(file, { recursive: true });
  await symlink(path.join(dir, "absent"), file);
  await assert.rejects(acquireLock(file, options), LockedError);
  await writeFile(path.join(dir, "plain"), "");
  await assert.rejects(acquireLock(lockInside(path.join(dir, "plain", "sub")), options), OutputError);
});

test("folders are created for a lock, and stay only if something is written to them", async (t) => {
  const dir = await tempDir(t);
  const folder = path.join(dir, "a", "b");
  await (await acquireLock(lockInside(folder), options)).release();
  assert.deepEqual(await readdir(dir), []);
  await withLock(lockInside(folder), options, () => writeFile(path.join(dir, "a", "result"), ""));
  assert.deepEqual(await readdir(path.join(dir, "a")), ["result"]);
});

test("a held lock is refreshed", async (t) => {
  const dir = await tempDir(t);
  const file = lockInside(dir);
  const lock = await acquireLock(file, { ...options, refreshSeconds: 0.02 });
  const content = await readFile(file, "utf8");
  await utimes(file, 1, 1);
  for (let waited = 0; (await stat(file)).mtimeMs < 1e6; waited++) {
    assert.ok(waited < 500, "not refreshed in 10 s");
    await sleep(20);
  }
  assert.equal(await readFile(file, "utf8"), content);
  await lock.release();
});

test("a lock that another process took over is detected and kept; one removed by hand is renewed", async (t) => {
  const dir = await tempDir(t);
  const file = lockInside(dir);
  const lock = await acquireLock(file, { ...options, refreshSeconds: 0.02 });
  await rm(file);
  await lock.assertHeld();
  assert.deepEqual(await readdir(dir), [path.basename(file)]);
  await rm(file);
  const other = lockOf({ pid: 4711, host: "elsewhere", space: "00000000" });
  await writeFile(file, other);
  await assert.rejects(lock.assertHeld(), (error: unknown) => {
    assert.ok(error instanceof LockedError);
    assert.match(error.message, /^runs\/a: process 4711 on elsewhere took it over/);
    return true;
  });
  await sleep(100); // several refreshes
  await lock.release();
  assert.equal(await readFile(file, "utf8"), other);
});

test("of many processes that find an abandoned lock, one at a time gets it", async (t) => {
  const dir = await tempDir(t);
  const [file, counter] = [lockInside(dir), path.join(dir, "counter")];
  await writeFile(file, lockOf({ pid: endedProcess() }));
  await writeFile(counter, "0");
  const script = `
    import { readFile, writeFile } from "node:fs/promises";
    import { setTimeout as sleep } from "node:timers/promises";
    const { acquireLock } = await import(${JSON.stringify(new URL("./lock.js", import.meta.url).href)});
    const [file, counter] = ${JSON.stringify([file, counter])};
    for (let done = 0; done < 5; ) {
      const lock = await acquireLock(file, ${JSON.stringify(options)}).catch((error) => {
        if (error.name !== "LockedError") throw error;
      });
      if (lock === undefined) { await sleep(5); continue; }
      const count = Number(await readFile(counter, "utf8"));
      await sleep(2);
      await writeFile(counter, String(count + 1));
      done++;
      // Every other time it ends as if killed: the lock stays, with a process that is gone.
      if (done === 5 && process.argv[1] === "kill") process.exit();
      await lock.release();
    }`;
  const ends = Array.from({ length: 6 }, (_, i) => {
    const args = ["--input-type=module", "--eval", script, i % 2 ? "kill" : "end"];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    return new Promise<number | null>((resolve) => child.once("exit", resolve));
  });
  assert.deepEqual(await Promise.all(ends), [0, 0, 0, 0, 0, 0]);
  assert.equal(await readFile(counter, "utf8"), "30");
  await (await acquireLock(file, options)).release();
  assert.deepEqual(await readdir(dir), ["counter"]);
});

test("file systems without hard links get an exclusively created file", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "lock");
  const noLinks = async () => {
    throw Object.assign(new Error("not permitted"), { code: "EPERM" });
  };
  const handle = await createLockFile(file, "content", noLinks);
  assert.equal(await readFile(file, "utf8"), "content");
  assert.equal(await createLockFile(file, "other", noLinks), undefined);
  assert.equal(await createLockFile(file, "other"), undefined);
  assert.equal(await readFile(file, "utf8"), "content");
  await handle?.close();
  assert.deepEqual(await readdir(dir), ["lock"]);
});

test("a network file system that repeats a request which succeeded is understood", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "lock");
  const repeated = async (_: string, to: string) => {
    await writeFile(to, "content");
    throw Object.assign(new Error("exists"), { code: "EEXIST" });
  };
  const handle = await createLockFile(file, "content", repeated);
  assert.ok(handle);
  await handle.close();
});

test("locks of files lie beside them, under names of bounded length", () => {
  assert.equal(lockBeside("out/model.onnx"), path.join("out", ".model.onnx.avseg-lock"));
  const [a, b] = [lockBeside(`out/${"é".repeat(100)}a`), lockBeside(`out/${"é".repeat(100)}b`)];
  assert.notEqual(a, b);
  assert.ok(Buffer.byteLength(path.basename(a)) < 120);
});
