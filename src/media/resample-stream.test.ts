import assert from "node:assert/strict";
import test from "node:test";
import { assertClose, seededUniform } from "../../test/support.js";
import { resample } from "./resample.js";
import { resampleStream } from "./resample-stream.js";

async function joined(samples: Float32Array, pieceLength: number, fromHz: number, toHz: number) {
  async function* pieces() {
    for (let at = 0; at < samples.length; at += pieceLength) yield samples.subarray(at, at + pieceLength);
  }
  const out: number[] = [];
  for await (const piece of resampleStream(pieces(), fromHz, toHz)) out.push(...piece);
  return out;
}

test("a stream gives the samples of the whole, however it is cut", async () => {
  for (const [fromHz, seconds, piece] of [
    [4410, 11.37, 1000],
    [800, 25, 20_000],
    [1600, 13, 77],
    [1601, 0.5, 100],
  ] as const) {
    const samples = seededUniform(`stream ${fromHz}`, Math.round(fromHz * seconds));
    const whole = resample(samples, fromHz, 1600);
    assertClose(await joined(samples, piece, fromHz, 1600), whole, 1e-6, `${fromHz} Hz`);
  }
});

test("no samples give none", async () => {
  assert.deepEqual(await joined(new Float32Array(0), 10, 44_100, 16_000), []);
});
