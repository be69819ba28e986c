/** Qt's compiled resources (`.rcc`): a tree of names over data that may be compressed with zlib. */
import { inflateSync } from "node:zlib";
import { DatasetError } from "../../../errors.js";

/** Flags of a node. */
const COMPRESSED_ZLIB = 1;
const FOLDER = 2;
const COMPRESSED_ZSTD = 4;

const MAX_NODES = 100_000;
const MAX_FILE_BYTES = 64 * 2 ** 20;

/**
 * Lists the files of a resource archive: from a path inside it to a function that reads the file's bytes. Throws
 * `DatasetError` when the archive is damaged; the functions do, too. Format: Qt's `qresource.cpp`, versions 1 to 3.
 */
export function readQtResources(bytes: Uint8Array, source: string): Map<string, () => Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fail = (what: string): DatasetError =>
    new DatasetError(`${source}: ${what}`, { hint: "Download the package that holds the file again." });
  const guarded = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      if (error instanceof DatasetError) throw error;
      throw fail("the resource archive is damaged or truncated");
    }
  };

  const fileAt = (offset: number, flags: number, name: string): Uint8Array => {
    if (flags & COMPRESSED_ZSTD) throw fail(`${name} is compressed with Zstandard, expected zlib or none`);
    const size = view.getUint32(offset);
    if (size > bytes.length - offset - 4) throw fail(`${name} is longer than the archive`);
    const data = bytes.subarray(offset + 4, offset + 4 + size);
    // The first four bytes of compressed data are the size of the content.
    return flags & COMPRESSED_ZLIB
      ? inflateSync(data.subarray(4), { maxOutputLength: MAX_FILE_BYTES })
      : data;
  };

  return guarded(() => {
    if (String.fromCharCode(...bytes.subarray(0, 4)) !== "qres") throw fail("expected a Qt resource archive");
    const version = view.getUint32(4);
    if (version < 1 || version > 3) throw fail(`expected version 1 to 3 of the format, found ${version}`);
    const [tree, data, names] = [view.getUint32(8), view.getUint32(12), view.getUint32(16)];
    const nodeBytes = version === 1 ? 14 : 22;
    const nameAt = (offset: number): string => {
      const length = view.getUint16(names + offset);
      const units = Array.from({ length }, (_, i) => view.getUint16(names + offset + 6 + 2 * i));
      return String.fromCharCode(...units);
    };

    const files = new Map<string, () => Uint8Array>();
    const pending = [{ node: 0, path: "" }];
    let nodes = 0;
    for (let next = pending.pop(); next; next = pending.pop()) {
      if (++nodes > MAX_NODES) throw fail(`expected at most ${MAX_NODES} entries`);
      const at = tree + next.node * nodeBytes;
      const flags = view.getUint16(at + 4);
      const name = next.node === 0 ? "" : `${next.path}${nameAt(view.getUint32(at))}`;
      if (flags & FOLDER) {
        const [count, first] = [view.getUint32(at + 6), view.getUint32(at + 10)];
        if (count > MAX_NODES) throw fail(`expected at most ${MAX_NODES} entries`);
        const path = name === "" ? "" : `${name}/`;
        for (let i = 0; i < count; i++) pending.push({ node: first + i, path });
      } else {
        const offset = data + view.getUint32(at + 10);
        files.set(name, () => guarded(() => fileAt(offset, flags, name)));
      }
    }
    return files;
  });
}
