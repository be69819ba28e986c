import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { tempDir } from "../../../test/temp-dir.js";
import { type ZipOptions, zip } from "../../../test/zip-writer.js";
import { CheckpointError } from "../../errors.js";
import { RequestError } from "./requests.js";
import { unpackDataset } from "./unpack-dataset.js";

const text = (words: string) => new TextEncoder().encode(words);

/** Unpacks an archive of these files into `data` of a folder; nothing else may be written. */
async function unpack(
  dir: string,
  files: Readonly<Record<string, Uint8Array>>,
  options?: ZipOptions,
): Promise<string> {
  await writeFile(path.join(dir, "upload.zip"), zip(files, options));
  return unpackDataset(path.join(dir, "upload.zip"), path.join(dir, "data"));
}

test("a dataset is unpacked, and its task is known by its folder", async (t) => {
  const dir = await tempDir(t);
  const files = { "AVSS/v1m/clip_0/frames/0.jpg": text("picture"), "AVSS/metadata.csv": text("table") };
  for (const deflate of [false, true]) assert.equal(await unpack(dir, files, { deflate }), "avss");
  for (const [name, bytes] of Object.entries(files)) {
    assert.deepEqual(new Uint8Array(await readFile(path.join(dir, "data", name))), bytes);
  }
  assert.equal(await unpack(await tempDir(t), { "Multi-sources/ms3_meta_data.csv": text("table") }), "ms3");
});

test("names that lead elsewhere, or that a dataset does not have, are refused before anything is written", async (t) => {
  const dir = await tempDir(t);
  const good = { "Multi-sources/ms3_meta_data.csv": text("table") };
  for (const name of [
    "../evil",
    "/etc/evil",
    "Multi-sources/../../evil",
    "Multi-sources/..",
    "Multi-sources/./evil",
    "Multi-sources//evil",
    "Multi-sources/.hidden",
    "Multi-sources\\..\\evil",
    "Multi-sources/a\\..\\evil",
    "Multi-sources/a:stream",
    "Multi-sources/evil\0.png",
    "Multi-sources/folder/",
    "Multi-sources",
    "Other/file",
    "AVSS/metadata.csv", // two tasks
  ]) {
    await assert.rejects(unpack(dir, { ...good, [name]: text("x") }), RequestError, name);
    assert.deepEqual(await readdir(dir), ["upload.zip"], name);
  }
  await assert.rejects(unpack(dir, {}), RequestError);
});

test("archives that unpack to too much are refused", async (t) => {
  const dir = await tempDir(t);
  const name = "Multi-sources/large.png";
  const [noise, zeros] = [randomBytes(2 ** 22), new Uint8Array(2 ** 22)];
  const status = (code: number) => (error: unknown) => error instanceof RequestError && error.status === code;
  const huge = { deflate: true, zip64: true, claim: { name, size: 2 ** 31 + 1 } };
  await assert.rejects(unpack(dir, { [name]: noise }, huge), status(413));
  // More than it declares, and more than deflate can make.
  await assert.rejects(
    unpack(dir, { [name]: zeros }, { deflate: true, claim: { name, size: 1000 } }),
    CheckpointError,
  );
  await assert.rejects(
    unpack(dir, { [name]: text("x") }, { deflate: true, claim: { name, size: 2 ** 30 } }),
    CheckpointError,
  );
  const many = Array.from({ length: 20_001 }, (_, i): [string, Uint8Array] => [`AVSS/${i}.png`, text("")]);
  await assert.rejects(unpack(dir, Object.fromEntries(many)), status(413));
  assert.deepEqual(await readdir(dir), ["upload.zip"]);
});

test("a damaged archive says so", async (t) => {
  const dir = await tempDir(t);
  const whole = zip({ "Multi-sources/a.png": randomBytes(1000) });
  for (const bytes of [whole.subarray(0, 900), text("no archive"), Buffer.alloc(0)]) {
    await writeFile(path.join(dir, "upload.zip"), bytes);
    await assert.rejects(
      unpackDataset(path.join(dir, "upload.zip"), path.join(dir, "data")),
      CheckpointError,
    );
  }
});
