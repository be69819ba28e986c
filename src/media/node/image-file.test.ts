import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import sharp from "sharp";
import { tempDir } from "../../../test/temp-dir.js";
import { MediaError } from "../../errors.js";
import type { ImageTensor } from "../resize.js";
import { encodePng, readGray, readRgb } from "./image-file.js";

const gray: ImageTensor = { dtype: "u8", shape: [2, 3], data: Uint8Array.of(0, 1, 7, 128, 254, 255) };
const rgb: ImageTensor = { dtype: "u8", shape: [1, 2, 3], data: Uint8Array.of(255, 0, 3, 9, 200, 40) };

test("PNG files keep every pixel: gray, RGB, RGBA, palette", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "image.png");
  await writeFile(file, await encodePng(gray));
  assert.deepEqual(await readGray(file), gray);
  await writeFile(file, await encodePng(rgb));
  assert.deepEqual(await readRgb(file), rgb);
  await writeFile(
    file,
    await encodePng({ dtype: "u8", shape: [1, 1, 4], data: Uint8Array.of(9, 8, 7, 100) }),
  );
  assert.deepEqual([...(await readRgb(file)).data], [9, 8, 7]);
  await sharp(rgb.data, { raw: { width: 2, height: 1, channels: 3 } })
    .png({ palette: true })
    .toFile(file);
  assert.deepEqual(await readRgb(file), rgb);
  const ramp = Uint8Array.from({ length: 256 * 3 }, (_, i) => Math.floor(i / 3));
  await writeFile(file, await encodePng({ dtype: "u8", shape: [1, 256, 3], data: ramp }));
  assert.deepEqual(
    [...(await readGray(file)).data],
    Array.from({ length: 256 }, (_, i) => i),
  );
});

test("16-bit gray is clipped to 255, as Pillow does", async (t) => {
  const file = path.join(await tempDir(t), "deep.png");
  const values = Uint16Array.of(0, 7, 255, 300, 65535);
  await sharp(values, { raw: { width: 5, height: 1, channels: 1 } })
    .toColorspace("grey16")
    .png()
    .toFile(file);
  assert.deepEqual([...(await readGray(file)).data], [0, 7, 255, 255, 255]);
});

test("what is no image is refused by name", async (t) => {
  const dir = await tempDir(t);
  const refused = async (name: string, bytes: Uint8Array | undefined, message: RegExp) => {
    const file = path.join(dir, name);
    if (bytes) await writeFile(file, bytes);
    await assert.rejects(readRgb(file), (error) => {
      assert.ok(error instanceof MediaError);
      assert.ok(error.message.startsWith(file) && !error.message.includes("\n"), error.message);
      assert.match(error.message, message);
      return true;
    });
  };
  await refused("missing.png", undefined, /no such image file/);
  await refused("empty.png", new Uint8Array(0), /the file is empty/);
  await refused("text.png", Buffer.from("hello"), /expected a PNG or JPEG/);
  await refused(
    "drawing.png",
    Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
    /expected a PNG or JPEG/,
  );
  const noise = Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => (i * i * 31) >> 3);
  const png = await encodePng({ dtype: "u8", shape: [64, 64, 3], data: noise });
  await refused("truncated.png", png.slice(0, png.length / 2), /cannot be decoded/);
  const jpeg = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
    .jpeg()
    .toBuffer();
  await refused("truncated.jpg", jpeg.subarray(0, jpeg.length / 2), /cannot be decoded/);
  const cmyk = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
    .toColorspace("cmyk")
    .jpeg()
    .toBuffer();
  await refused("cmyk.jpg", cmyk, /CMYK, expected RGB or gray/);
  const huge = Buffer.from(png); // the header alone claims 20000 x 20000 pixels
  huge.writeUInt32BE(20_000, 16);
  huge.writeUInt32BE(20_000, 20);
  await refused("huge.png", huge, /cannot be decoded|more than 67108864 pixels/);
});
