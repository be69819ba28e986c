/** Sound and pictures. */
import sharp from "sharp";
import { readBinary, readClasses } from "../../src/datasets/avsbench/load-clip.js";
import { readGray, readRgb } from "../../src/media/node/image-file.js";
import { readWavFile } from "../../src/media/node/wav-file.js";
import { encodeWav, toMono } from "../../src/media/wav.js";
import { mutateBytes } from "../mutate/bytes.js";
import { mutatePng } from "../mutate/formats.js";
import { type Reader, readAnyOf } from "../reader.js";

const tone = Float32Array.from({ length: 400 }, (_, i) => Math.sin(i / 7) / 2);

/** A WAV of any encoding: the format chunk (`extensible` with a GUID), another chunk, then the data. */
function wavOf(format: number, bits: number, extensible = false): Buffer {
  const width = bits / 8;
  const data = Buffer.alloc(tone.length * width, 0x11);
  if (format === 3) {
    tone.forEach((sample, i) => {
      if (width === 4) data.writeFloatLE(sample, i * width);
      else data.writeDoubleLE(sample, i * width);
    });
  }
  const chunk = Buffer.alloc(extensible ? 40 : 16);
  chunk.writeUInt16LE(extensible ? 0xfffe : format, 0);
  chunk.writeUInt16LE(1, 2);
  chunk.writeUInt32LE(16_000, 4);
  chunk.writeUInt32LE(16_000 * width, 8);
  chunk.writeUInt16LE(width, 12);
  chunk.writeUInt16LE(bits, 14);
  if (extensible) chunk.writeUInt16LE(format, 24);
  const framed = (tag: string, body: Uint8Array) => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(body.length);
    return Buffer.concat([Buffer.from(tag), size, body]);
  };
  const body = [framed("fmt ", chunk), framed("LIST", Buffer.from("INFOname")), framed("data", data)];
  return framed("RIFF", Buffer.concat([Buffer.from("WAVE"), ...body]));
}

const wav: Reader = {
  name: "wav",
  fileName: "input.wav",
  seeds: async () => [
    encodeWav({ sampleRateHz: 16_000, channels: [tone, tone.map((sample) => -sample)] }),
    ...[8, 16, 24, 32].map((bits) => wavOf(1, bits)),
    ...[32, 64].map((bits) => wavOf(3, bits)),
    wavOf(1, 16, true),
  ],
  mutate: mutateBytes,
  async read(file) {
    toMono(await readWavFile(file));
  },
};

/** Noise and flat areas, `u8[24,32,channels]`. */
function picture(channels: 1 | 3 | 4) {
  const [width, height] = [32, 24];
  const data = Uint8Array.from({ length: width * height * channels }, (_, i) =>
    i % 96 < 48 ? 255 : (i * 37) % 251,
  );
  return sharp(data, { raw: { width, height, channels } });
}

async function readPicture(file: string): Promise<void> {
  await readRgb(file);
  await readGray(file);
}

const png: Reader = {
  name: "png",
  fileName: "input.png",
  seeds: () =>
    Promise.all([
      picture(1).toColourspace("b-w").png().toBuffer(),
      picture(1).toColourspace("grey16").png().toBuffer(),
      picture(3).png({ progressive: true }).toBuffer(),
      picture(3).png({ palette: true, colours: 16 }).toBuffer(),
      picture(4).png({ compressionLevel: 0 }).toBuffer(),
    ]),
  mutate: mutatePng,
  read: readPicture,
};

const jpeg: Reader = {
  name: "jpeg",
  fileName: "input.jpg",
  seeds: () =>
    Promise.all([
      picture(3).jpeg().toBuffer(),
      picture(3).jpeg({ progressive: true, chromaSubsampling: "4:4:4" }).toBuffer(),
      picture(1).toColourspace("b-w").jpeg().toBuffer(),
      picture(3).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    ]),
  mutate: mutateBytes,
  read: readPicture,
};

/** Masks are pictures with only some values. */
const masks: Reader = {
  name: "masks",
  fileName: "input.png",
  seeds: async () => {
    const data = Uint8Array.from({ length: 32 * 24 }, (_, i) => (i % 32 < 16 ? 0 : 255));
    return [
      await sharp(data, { raw: { width: 32, height: 24, channels: 1 } })
        .toColourspace("b-w")
        .png()
        .toBuffer(),
    ];
  },
  mutate: mutatePng,
  read: (file) => readAnyOf([() => readBinary(file), () => readClasses(file, 71)]),
};

/** Readers of sound and pictures. */
export const mediaReaders: readonly Reader[] = [wav, png, jpeg, masks];
