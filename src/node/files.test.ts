import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { closeFolder, ordinaryNode } from "../../test/ordinary-user.js";
import { tempDir } from "../../test/temp-dir.js";
import { OutputError } from "../errors.js";
import { ensureWritableDir, removeStale, temporaryPath, writeFileAtomic } from "./files.js";
import { asOutputError } from "./system-error.js";

test("text, bytes and pieces are written completely, and missing folders are created", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "a", "b", "out.bin");
  await writeFileAtomic(file, "grüß");
  assert.equal(await readFile(file, "utf8"), "grüß");
  async function* produce(): AsyncGenerator<Uint8Array> {
    yield Uint8Array.of(1, 2);
    yield Uint8Array.of(3);
  }
  await writeFileAtomic(file, produce());
  assert.deepEqual([...(await readFile(file))], [1, 2, 3]);
  assert.deepEqual(await readdir(path.dirname(file)), ["out.bin"]);
});

test("many files at once into the same new folders", async (t) => {
  const dir = await tempDir(t);
  for (let round = 0; round < 20; round++) {
    const folder = path.join(dir, `${round}`, "a", "b", "c");
    await Promise.all([0, 1, 2, 3, 4].map((i) => writeFileAtomic(path.join(folder, `${i}`), "x")));
    assert.equal((await readdir(folder)).length, 5);
  }
});

test("a failure or an abort half-way leaves the old file and nothing else", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "out.txt");
  await writeFileAtomic(file, "old");
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("new");
    throw Object.assign(new Error("no space"), { code: "ENOSPC" });
  }
  await assert.rejects(writeFileAtomic(file, failing()), (error) => {
    assert.ok(error instanceof OutputError);
    assert.match(error.message, /out\.txt: the disk is full/);
    assert.ok(error.hint);
    return true;
  });
  const controller = new AbortController();
  async function* aborting(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("new");
    controller.abort();
    yield Buffer.from("more");
  }
  await assert.rejects(writeFileAtomic(file, aborting(), { signal: controller.signal }), {
    name: "AbortError",
  });
  assert.equal(await readFile(file, "utf8"), "old");
  assert.deepEqual(await readdir(dir), ["out.txt"]);
});

test("a file system that takes no files and a target that is a folder are OutputErrors", async (t) => {
  const dir = await tempDir(t);
  await mkdir(path.join(dir, "taken"));
  await assert.rejects(writeFileAtomic(path.join(dir, "taken"), "x"), OutputError);
  assert.deepEqual(await readdir(dir), ["taken"]);
  await writeFile(path.join(dir, "file"), "");
  await assert.rejects(ensureWritableDir(path.join(dir, "file", "sub")), OutputError);
  await assert.rejects(ensureWritableDir(path.join(dir, "file")), OutputError);

  if (!existsSync("/proc/self")) return t.skip("/proc absent");
  await assert.rejects(writeFileAtomic("/proc/avseg-test", "x"), OutputError);
  await assert.rejects(writeFileAtomic("/proc/avseg-test/a/b", "x"), OutputError);
});

test("a folder without permission is an OutputError", {
  skip: process.platform === "win32" && "POSIX only",
}, async (t) => {
  const dir = await tempDir(t);
  await closeFolder(dir);
  const { command, prefix, options } = ordinaryNode();
  const script = `
      import { ensureWritableDir } from ${JSON.stringify(import.meta.resolve("./files.js"))};
      await ensureWritableDir(${JSON.stringify(dir)}).catch(({ name, message }) => console.log(name, message));`;
  const args = [...prefix, "--input-type=module", "--eval", script];
  const { stdout, stderr } = spawnSync(command, args, { ...options, encoding: "utf8" });
  assert.match(stdout, /^OutputError .*no permission to write there\n$/, stderr);
});

test("temporary files of ended processes are removed, others are kept", async (t) => {
  const dir = await tempDir(t);
  const { pid: ended } = spawnSync(process.execPath, ["--version"]);
  const name = path.basename(temporaryPath(dir));
  const of = (pid: number) => name.replace(`-${process.pid}-`, `-${pid}-`);
  const elsewhere = of(ended).replace(/-[0-9a-f]{8}-/, "-00000000-");
  const kept = [name, of(process.ppid), elsewhere, `${of(ended)} of mine`, ".tmp-1", "masks"];
  await mkdir(path.join(dir, of(ended), "masks"), { recursive: true });
  for (const file of [`${of(ended)}.mp4`, path.join(of(ended), "masks", "0.png"), ...kept]) {
    await writeFile(path.join(dir, file), "");
  }
  await removeStale(dir);
  assert.deepEqual((await readdir(dir)).sort(), kept.sort());
  await removeStale(path.join(dir, "absent"));
});

test("errors that are not the file system's pass through", () => {
  const bug = new TypeError("bug");
  assert.equal(asOutputError(bug, "x"), bug);
});
