/**
 * Reads the zip archives that PyTorch writes: entries stored or deflated, zip64 for large ones. Every size comes from the
 * central directory and is checked against the file, and no entry unpacks to more than it declares.
 */
import { CheckpointError } from "../../errors.js";
import { discard } from "../../runtime/discard.js";
import type { ByteSource } from "../byte-source.js";
import { crc32 } from "./crc32.js";

const endSignature = 0x06054b50;
const end64LocatorSignature = 0x07064b50;
const end64Signature = 0x06064b50;
const centralSignature = 0x02014b50;
const localSignature = 0x04034b50;

/** Deflate cannot shrink data by more than this factor. */
const maxDeflateRatio = 1032;

/** One file of an archive, as its central directory describes it. */
export interface ZipEntry {
  readonly name: string;
  readonly method: "stored" | "deflated";
  /** Bytes in the archive. */
  readonly packedSize: number;
  /** Bytes when unpacked. */
  readonly size: number;
  /** CRC-32 of the unpacked bytes. PyTorch can leave it out: it is then 0 for all entries, and `undefined` here. */
  readonly crc: number | undefined;
  /** Where its local header is. */
  readonly offset: number;
}

/** Reads the list of entries by name. Throws `CheckpointError` for a damaged archive. */
export async function readZipEntries(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const directory = await findDirectory(source);
  const bytes = await source.read(directory.offset, directory.size);
  const view = new DataView(bytes.buffer);
  const entries = new Map<string, ZipEntry>();
  for (let at = 0; at < bytes.length; ) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== centralSignature)
      throw damaged(source, "its directory");
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const commentLength = view.getUint16(at + 32, true);
    const next = at + 46 + nameLength + extraLength + commentLength;
    if (next > bytes.length) throw damaged(source, "its directory");
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    const extra = at + 46 + nameLength;
    const [size, packedSize, offset] = sizes64(
      view,
      [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)],
      [extra, extra + extraLength],
    );
    const method = view.getUint16(at + 10, true);
    const flags = view.getUint16(at + 8, true);
    if (entries.has(name) || (method !== 0 && method !== 8) || flags & 1) {
      const why = entries.has(name)
        ? "occurs twice"
        : flags & 1
          ? "is encrypted"
          : `has the unknown method ${method}`;
      throw damaged(source, `entry ${name} ${why}`);
    }
    if (
      (method === 0 && size !== packedSize) ||
      size > packedSize * maxDeflateRatio ||
      packedSize > source.size
    ) {
      throw damaged(source, `entry ${name} declares ${size} bytes, packed into ${packedSize}`);
    }
    entries.set(name, {
      name,
      method: method === 0 ? "stored" : "deflated",
      packedSize,
      size,
      crc: view.getUint32(at + 16, true),
      offset,
    });
    at = next;
  }
  const checked = [...entries.values()].some(({ crc }) => crc !== 0);
  return checked
    ? entries
    : new Map([...entries].map(([name, entry]) => [name, { ...entry, crc: undefined }]));
}

/** Where the bytes of `entry` begin in the archive. Throws `CheckpointError` for a damaged archive. */
export async function zipDataOffset(source: ByteSource, entry: ZipEntry): Promise<number> {
  const header = new DataView((await source.read(entry.offset, 30)).buffer);
  if (header.getUint32(0, true) !== localSignature)
    throw damaged(source, `entry ${entry.name} is not where it should be`);
  const start = entry.offset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (start + entry.packedSize > source.size) throw damaged(source, `entry ${entry.name} exceeds the file`);
  return start;
}

/** The unpacked bytes of `entry`, checked against its checksum if it has one. Throws `CheckpointError` for a damaged archive. */
export async function readZipEntry(source: ByteSource, entry: ZipEntry): Promise<Uint8Array<ArrayBuffer>> {
  const packed = await source.read(await zipDataOffset(source, entry), entry.packedSize);
  const bytes = entry.method === "stored" ? packed : await inflate(source, entry, packed);
  if (entry.crc !== undefined && crc32(bytes) !== entry.crc) {
    throw damaged(source, `the checksum of entry ${entry.name} does not match`);
  }
  return bytes;
}

/** Bytes that a checksum is computed of at once. */
const checkedBytes = 1 << 22;

/** Checks the bytes of a stored entry against its checksum, if it has one. Throws `CheckpointError` for a damaged archive. */
export async function checkZipEntry(source: ByteSource, entry: ZipEntry): Promise<void> {
  const start = await zipDataOffset(source, entry);
  if (entry.crc === undefined) return;
  let crc = 0;
  for (let done = 0; done < entry.size; done += checkedBytes) {
    const bytes = await source.read(start + done, Math.min(checkedBytes, entry.size - done));
    crc = crc32(bytes, crc);
    discard([bytes.buffer]);
  }
  if (crc !== entry.crc) throw damaged(source, `the checksum of entry ${entry.name} does not match`);
}

async function inflate(source: ByteSource, entry: ZipEntry, packed: Uint8Array<ArrayBuffer>) {
  const out = new Uint8Array(entry.size);
  let filled = 0;
  try {
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const reader = stream.getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      if (filled + piece.value.length > out.length) {
        await reader.cancel();
        break;
      }
      out.set(piece.value, filled);
      filled += piece.value.length;
    }
  } catch {
    filled = -1;
  }
  if (filled !== out.length)
    throw damaged(source, `entry ${entry.name} does not unpack to ${entry.size} bytes`);
  return out;
}

async function findDirectory(source: ByteSource): Promise<{ offset: number; size: number }> {
  // The end record is 22 bytes and a comment of up to 65535.
  const length = Math.min(source.size, 22 + 65535);
  const tail = await source.read(source.size - length, length);
  const view = new DataView(tail.buffer);
  let at = length - 22;
  while (at >= 0 && view.getUint32(at, true) !== endSignature) at--;
  if (at < 0) throw damaged(source, "its directory at the end is missing");
  let size = view.getUint32(at + 12, true);
  let offset = view.getUint32(at + 16, true);
  const locator = at - 20;
  if (locator >= 0 && view.getUint32(locator, true) === end64LocatorSignature) {
    const end64 = await source.read(Number(view.getBigUint64(locator + 8, true)), 56);
    const view64 = new DataView(end64.buffer);
    if (view64.getUint32(0, true) !== end64Signature) throw damaged(source, "its directory");
    size = Number(view64.getBigUint64(40, true));
    offset = Number(view64.getBigUint64(48, true));
  }
  return { offset, size };
}

/** Replaces each of `values` that is 0xffffffff by the next number of the zip64 extra field, which holds only these. */
function sizes64(view: DataView, values: [number, number, number], [start, end]: readonly [number, number]) {
  for (let at = start; at + 4 <= end; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    let field = at + 4;
    return values.map((value) => {
      if (value !== 0xffffffff || field + 8 > end) return value;
      field += 8;
      return Number(view.getBigUint64(field - 8, true));
    }) as [number, number, number];
  }
  return values;
}

function damaged(source: ByteSource, what: string): CheckpointError {
  return new CheckpointError(`${source.name}: damaged zip archive: ${what}`, {
    hint: "The file is truncated or damaged. Get it again.",
  });
}
