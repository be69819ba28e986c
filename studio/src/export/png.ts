/** PNG files without the browser's color management, so that masks have the values that `avseg segment` writes. */
import { maskPicture } from "avseg/studio";
import type { ImageTensor, Mask } from "avseg/web";
import { zlibSync } from "fflate";

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = crcTable[(c ^ byte) & 255]! ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(new TextEncoder().encode(type), 4);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}

/** PNG's color types by the number of channels. */
const colorTypes: Readonly<Record<number, number>> = { 1: 0, 3: 2, 4: 6 };

/** Encodes `u8[H,W]`, `u8[H,W,3]` or `u8[H,W,4]`. */
export function encodePng({ shape, data }: Pick<ImageTensor, "shape" | "data">): Uint8Array<ArrayBuffer> {
  const [height = 0, width = 0, channels = 1] = shape;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8;
  header[9] = colorTypes[channels] ?? 0;
  const stride = width * channels;
  // A byte for the filter goes before every row; 0 is no filter.
  const rows = new Uint8Array(height * (stride + 1));
  for (let y = 0; y < height; y++)
    rows.set(data.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1);
  const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  const parts = [
    signature,
    chunk("IHDR", header),
    chunk("IDAT", zlibSync(rows, { level: 6 })),
    chunk("IEND", new Uint8Array()),
  ];
  const png = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    png.set(part, at);
    at += part.length;
  }
  return png;
}

/** A mask as datasets keep it. */
export function maskPng(mask: Mask): Uint8Array<ArrayBuffer> {
  return encodePng(maskPicture(mask));
}
