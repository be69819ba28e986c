/** CRC-32 (the zip polynomial), eight bytes at a time: hundreds of megabytes take well under a second each. */

/** Eight tables of 256 integers: table k has the remainder of a byte that k bytes follow. Made at first use. */
let tables: DataView | undefined;

/** Bytes of one table. */
const tableBytes = 4 * 256;

function makeTables(): DataView {
  const view = new DataView(new ArrayBuffer(8 * tableBytes));
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    view.setInt32(4 * i, c, true);
  }
  for (let at = tableBytes; at < view.byteLength; at += 4) {
    const c = view.getInt32(at - tableBytes, true);
    view.setInt32(at, (c >>> 8) ^ view.getInt32((c & 255) << 2, true), true);
  }
  return view;
}

/** Node's own CRC-32, several times as fast; later versions of Node 20 have it, browsers do not. */
const native = globalThis.process?.getBuiltinModule?.("node:zlib")?.crc32;

/** CRC-32 of `bytes`, unsigned; or of what had the CRC-32 `before`, and `bytes` after it. */
export function crc32(bytes: Uint8Array, before = 0): number {
  return native ? native(bytes, before) : tableCrc32(bytes, before);
}

/** The same without Node. */
export function tableCrc32(bytes: Uint8Array, before = 0): number {
  tables ??= makeTables();
  const table = tables;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = ~before;
  let i = 0;
  for (; i + 8 <= view.byteLength; i += 8) {
    const a = view.getInt32(i, true) ^ crc;
    const b = view.getInt32(i + 4, true);
    crc =
      table.getInt32(7 * tableBytes + ((a & 255) << 2), true) ^
      table.getInt32(6 * tableBytes + (((a >>> 8) & 255) << 2), true) ^
      table.getInt32(5 * tableBytes + (((a >>> 16) & 255) << 2), true) ^
      table.getInt32(4 * tableBytes + ((a >>> 24) << 2), true) ^
      table.getInt32(3 * tableBytes + ((b & 255) << 2), true) ^
      table.getInt32(2 * tableBytes + (((b >>> 8) & 255) << 2), true) ^
      table.getInt32(tableBytes + (((b >>> 16) & 255) << 2), true) ^
      table.getInt32((b >>> 24) << 2, true);
  }
  for (; i < view.byteLength; i++) {
    crc = (crc >>> 8) ^ table.getInt32(((crc ^ view.getUint8(i)) & 255) << 2, true);
  }
  return (crc ^ -1) >>> 0;
}
