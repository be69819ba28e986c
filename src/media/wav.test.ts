import assert from "node:assert/strict";
import test from "node:test";
import { MediaError } from "../errors.js";
import { encodeWav, readWav, toMono } from "./wav.js";

function chunk(id: string, payload: Uint8Array): Uint8Array[] {
  const head = new Uint8Array(8);
  head.set(new TextEncoder().encode(id));
  new DataView(head.buffer).setUint32(4, payload.length, true);
  return [head, payload, new Uint8Array(payload.length % 2)];
}

function wav(...chunks: Uint8Array[][]): Uint8Array {
  return Buffer.concat([...chunk("RIFF", new Uint8Array(0)), Buffer.from("WAVE"), ...chunks.flat()]);
}

function format(code: number, bits: number, channels = 1, extensible = false, rateHz = 8000): Uint8Array {
  const view = new DataView(new ArrayBuffer(extensible ? 40 : 16));
  view.setUint16(0, extensible ? 0xfffe : code, true);
  view.setUint16(2, channels, true);
  view.setUint32(4, rateHz, true);
  view.setUint16(12, (channels * bits) / 8, true);
  view.setUint16(14, bits, true);
  if (extensible) view.setUint16(24, code, true);
  return new Uint8Array(view.buffer);
}

function samples(bits: number, float: boolean, values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer((values.length * bits) / 8));
  for (const [i, value] of values.entries()) {
    const at = (i * bits) / 8;
    if (float) bits === 32 ? view.setFloat32(at, value, true) : view.setFloat64(at, value, true);
    else {
      const level = Math.round(value * 2 ** (bits - 1)) + (bits === 8 ? 128 : 0);
      for (let b = 0; b < bits / 8; b++) view.setUint8(at + b, Math.floor(level / 256 ** b) & 255);
    }
  }
  return new Uint8Array(view.buffer);
}

const values = [0, 0.5, -0.5, -1, 0.25, -0.75];

test("every encoding reads alike, plain and extensible", () => {
  for (const extensible of [false, true]) {
    for (const [code, bits] of [
      [1, 8],
      [1, 16],
      [1, 24],
      [1, 32],
      [3, 32],
      [3, 64],
    ] as const) {
      const file = wav(
        chunk("fmt ", format(code, bits, 1, extensible)),
        chunk("data", samples(bits, code === 3, values)),
      );
      assert.deepEqual([...readWav(file, "x.wav").channels[0]!], values, `${code}:${bits}`);
    }
  }
});

test("chunks in any order, unknown ones of odd size, channels apart", () => {
  const file = wav(
    chunk("LIST", new Uint8Array(3)),
    chunk("data", samples(16, false, values)),
    chunk("fmt ", format(1, 16, 2)),
  );
  const audio = readWav(file, "x.wav");
  assert.deepEqual(
    audio.channels.map((c) => [...c]),
    [
      [0, -0.5, 0.25],
      [0.5, -1, -0.75],
    ],
  );
  assert.deepEqual([...toMono(audio)], [0.25, -0.75, -0.25]);
});

test("what is written reads back", () => {
  const audio = {
    sampleRateHz: 16_000,
    channels: [Float32Array.from(values), Float32Array.from(values).fill(2)],
  };
  const back = readWav(encodeWav(audio), "x.wav");
  assert.equal(back.sampleRateHz, 16_000);
  assert.deepEqual([...back.channels[0]!], values);
  assert.ok(back.channels[1]!.every((x) => x === 32767 / 32768));
});

test("a size that a writer to a pipe could not know reaches to the end", () => {
  const file = wav(chunk("fmt ", format(1, 16)), chunk("data", samples(16, false, values)));
  const at = Buffer.from(file).indexOf("data") + 4;
  new DataView(file.buffer, file.byteOffset).setUint32(at, 0xffffffff, true);
  assert.equal(readWav(file, "x.wav").channels[0]?.length, values.length);
});

test("malformed files are refused by name", () => {
  const fmt = chunk("fmt ", format(1, 16));
  const data = chunk("data", samples(16, false, values));
  const cases: [Uint8Array, RegExp][] = [
    [new Uint8Array(0), /x\.wav: the file is empty/],
    [new TextEncoder().encode("not a sound file"), /x\.wav: this is not a WAV file/],
    [wav(fmt, chunk("data", new Uint8Array(0))), /x\.wav: it has zero samples/],
    [wav(fmt, data).slice(0, -4), /x\.wav: it is truncated: chunk "data" announces 12 bytes, 8 are there/],
    [wav(data), /no format chunk/],
    [wav(fmt), /no data chunk/],
    [wav(chunk("fmt ", format(1, 12)), data), /12-bit PCM samples/],
    [wav(chunk("fmt ", format(85, 16)), data), /16-bit format 85 samples/],
    [wav(chunk("fmt ", format(1, 16, 0)), data), /0 channels/],
    [wav(chunk("fmt ", format(1, 16, 1, false, 1)), data), /a sample rate of 1 Hz, expected 1000 to 768000/],
    [
      wav(chunk("fmt ", format(3, 32)), chunk("data", samples(32, true, [0, Number.NaN]))),
      /sample 1 is NaN, expected -1 to 1/,
    ],
    [wav(chunk("fmt ", format(3, 64)), chunk("data", samples(64, true, [1e300]))), /sample 0 is 1e\+300/],
  ];
  for (const [bytes, message] of cases) {
    assert.throws(
      () => readWav(bytes, "x.wav"),
      (error) => error instanceof MediaError && message.test(error.message),
    );
  }
});
