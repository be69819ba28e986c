/** WAV files: PCM of 8, 16, 24, 32 bits and floats are read, 16-bit PCM is written. Bytes in, samples out. */
import { f32At } from "../arrays.js";
import { MediaError } from "../errors.js";

/** Sound as samples in [-1, 1], one array per channel, all of one length. */
export interface Sound {
  readonly sampleRateHz: number;
  readonly channels: readonly Float32Array<ArrayBuffer>[];
}

const FORMAT_PCM = 1;
const FORMAT_FLOAT = 3;
const FORMAT_EXTENSIBLE = 0xfffe;
/** What writers to a pipe put for a size that they cannot know. */
const UNKNOWN_SIZE = 0xffffffff;
const MAX_CHANNELS = 64;
const MIN_RATE_HZ = 1000;
const MAX_RATE_HZ = 768_000;
/** Floats may exceed 1 a little, or be badly scaled; beyond this they are damaged. */
const MAX_LEVEL = 2 ** 24;

const HINT = "Convert it again from its source, e.g. `ffmpeg -i source -ar 16000 sound.wav`.";

/** How one sample of `bytes` bytes at `offset` becomes a number in [-1, 1]. */
interface Encoding {
  readonly bytes: number;
  readonly read: (view: DataView, offset: number) => number;
}

/** The encodings by `format:bits`. 16-bit samples are divided by 32768, as the published front end does. */
const ENCODINGS: Readonly<Record<string, Encoding>> = {
  "1:8": { bytes: 1, read: (v, o) => (v.getUint8(o) - 128) / 128 },
  "1:16": { bytes: 2, read: (v, o) => v.getInt16(o, true) / 32768 },
  "1:24": { bytes: 3, read: (v, o) => (v.getUint16(o, true) + v.getInt8(o + 2) * 65536) / 8388608 },
  "1:32": { bytes: 4, read: (v, o) => v.getInt32(o, true) / 2147483648 },
  "3:32": { bytes: 4, read: (v, o) => v.getFloat32(o, true) },
  "3:64": { bytes: 8, read: (v, o) => v.getFloat64(o, true) },
};

interface Format {
  readonly channels: number;
  readonly sampleRateHz: number;
  readonly encoding: Encoding;
}

function parseFormat(chunk: DataView, fail: (what: string) => MediaError): Format {
  if (chunk.byteLength < 16)
    throw fail(`its format chunk has ${chunk.byteLength} bytes, expected at least 16`);
  let format = chunk.getUint16(0, true);
  const channels = chunk.getUint16(2, true);
  const sampleRateHz = chunk.getUint32(4, true);
  const blockBytes = chunk.getUint16(12, true);
  const bits = chunk.getUint16(14, true);
  // The extensible form keeps the real format in the first two bytes of a GUID.
  if (format === FORMAT_EXTENSIBLE && chunk.byteLength >= 26) format = chunk.getUint16(24, true);
  const encoding = ENCODINGS[`${format}:${bits}`];
  if (!encoding) {
    const kind = format === FORMAT_PCM ? "PCM" : format === FORMAT_FLOAT ? "float" : `format ${format}`;
    throw fail(`${bits}-bit ${kind} samples; expected PCM of 8, 16, 24 or 32 bits, or floats of 32 or 64`);
  }
  if (channels < 1 || channels > MAX_CHANNELS) {
    throw fail(`${channels} channels, expected 1 to ${MAX_CHANNELS}`);
  }
  if (sampleRateHz < MIN_RATE_HZ || sampleRateHz > MAX_RATE_HZ) {
    throw fail(`a sample rate of ${sampleRateHz} Hz, expected ${MIN_RATE_HZ} to ${MAX_RATE_HZ}`);
  }
  if (blockBytes !== channels * encoding.bytes) {
    throw fail(`blocks of ${blockBytes} bytes, expected ${channels} channels x ${encoding.bytes} bytes`);
  }
  return { channels, sampleRateHz, encoding };
}

/**
 * Reads a whole WAV file. `source` names it in messages.
 * Throws `MediaError` when it is not a WAV file, is truncated, is of an unknown encoding, has no samples, or has samples
 * that are far above full scale or not finite.
 */
export function readWav(bytes: Uint8Array, source: string): Sound {
  const fail = (what: string) => new MediaError(`${source}: ${what}`, { hint: HINT });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || tag(0) !== "RIFF" || tag(8) !== "WAVE") {
    throw fail(bytes.length === 0 ? "the file is empty, expected a WAV file" : "this is not a WAV file");
  }

  let format: Format | undefined;
  let data: { start: number; size: number } | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const id = tag(at);
    const start = at + 8;
    let size = view.getUint32(at + 4, true);
    if (id === "data" && size === UNKNOWN_SIZE) size = bytes.length - start;
    if ((id === "fmt " || id === "data") && start + size > bytes.length) {
      throw fail(`it is truncated: chunk "${id}" announces ${size} bytes, ${bytes.length - start} are there`);
    }
    if (id === "fmt ")
      format ??= parseFormat(new DataView(bytes.buffer, bytes.byteOffset + start, size), fail);
    if (id === "data") data ??= { start, size };
    at = start + size + (size & 1); // chunks are padded to even sizes
  }
  if (!format) throw fail("it has no format chunk");
  if (!data) throw fail("it has no data chunk");

  const { channels: channelCount, encoding, sampleRateHz } = format;
  const blockBytes = channelCount * encoding.bytes;
  const length = Math.floor(data.size / blockBytes);
  if (length === 0) throw fail("it has zero samples");
  const channels = Array.from({ length: channelCount }, () => new Float32Array(length));
  for (const [c, samples] of channels.entries()) {
    let at = data.start + c * encoding.bytes;
    for (let i = 0; i < length; i++, at += blockBytes) {
      const sample = encoding.read(view, at);
      if (!(Math.abs(sample) <= MAX_LEVEL)) throw fail(`sample ${i} is ${sample}, expected -1 to 1`);
      samples[i] = sample;
    }
  }
  return { sampleRateHz, channels };
}

/** Mono samples in [-1, 1]; in double precision where they were computed, as the published front end has them. */
export type Samples = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** The mean of all channels, as the published front end makes sound mono. */
export function toMono({ channels }: Sound): Samples {
  const [first, ...others] = channels;
  if (!first) throw new RangeError("toMono: no channels");
  if (others.length === 0) return first;
  return Float64Array.from(first, (sample, i) => {
    let sum = sample;
    for (const channel of others) sum += f32At(channel, i);
    return sum / channels.length;
  });
}

/** Writes 16-bit PCM; samples outside [-1, 1) are clipped. Reading it again gives the samples to within 1/65536. */
export function encodeWav({ sampleRateHz, channels }: Sound): Uint8Array<ArrayBuffer> {
  const length = channels[0]?.length ?? 0;
  const blockBytes = channels.length * 2;
  const bytes = new Uint8Array(44 + length * blockBytes);
  const view = new DataView(bytes.buffer);
  const text = (at: number, tag: string) => {
    for (let i = 0; i < 4; i++) bytes[at + i] = tag.charCodeAt(i);
  };
  text(0, "RIFF");
  view.setUint32(4, bytes.length - 8, true);
  text(8, "WAVE");
  text(12, "fmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, FORMAT_PCM, true);
  view.setUint16(22, channels.length, true);
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, sampleRateHz * blockBytes, true);
  view.setUint16(32, blockBytes, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, length * blockBytes, true);
  for (const [c, samples] of channels.entries()) {
    for (let i = 0; i < length; i++) {
      const level = Math.max(-32768, Math.min(32767, Math.round(f32At(samples, i) * 32768)));
      view.setInt16(44 + i * blockBytes + c * 2, level, true);
    }
  }
  return bytes;
}
