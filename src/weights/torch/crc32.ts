/** CRC-32 (the zip polynomial), eight bytes at a time: hundreds of megabytes take well under a second each. */

let tables: Int32Array[] | undefined;

function makeTables(): Int32Array[] {
  const first = new Int32Array(256);
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    first[i] = c;
  }
  const all = [first];
  for (let k = 1; k < 8; k++) {
    const previous = all[k - 1] as Int32Array;
    all.push(previous.map((c) => (c >>> 8) ^ (first[c & 255] as number)));
  }
  return all;
}

/** CRC-32 of `bytes`, unsigned. */
export function crc32(bytes: Uint8Array): number {
  tables ??= makeTables();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = -1;
  let i = 0;
  for (; i + 8 <= bytes.length; i += 8) {
    const a = view.getInt32(i, true) ^ crc;
    const b = view.getInt32(i + 4, true);
    crc =
      (t7[a & 255] as number) ^
      (t6[(a >>> 8) & 255] as number) ^
      (t5[(a >>> 16) & 255] as number) ^
      (t4[a >>> 24] as number) ^
      (t3[b & 255] as number) ^
      (t2[(b >>> 8) & 255] as number) ^
      (t1[(b >>> 16) & 255] as number) ^
      (t0[b >>> 24] as number);
  }
  for (; i < bytes.length; i++) {
    crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[i] as number)) & 255] as number);
  }
  return (crc ^ -1) >>> 0;
}
