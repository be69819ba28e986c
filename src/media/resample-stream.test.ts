import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { assertClose, seededUniform } from "../../test/support.js";
import { resampleStream } from "./resample-stream.js";

async function joined(samples: Float32Array, pieceLength: number, fromHz: number, toHz: number) {
  async function* pieces() {
    for (let at = 0; at < samples.length; at += pieceLength) yield samples.subarray(at, at + pieceLength);
  }
  const out: number[] = [];
  for await (const piece of resampleStream(pieces(), fromHz, toHz)) out.push(...piece);
  return out;
}

const rates = [44_100, 48_000, 8000, 22_050, 16_000];

test("a stream gives what ffmpeg gives", async () => {
  for (const rate of rates) {
    const samples = seededUniform(`stream ${rate}`, Math.round(rate * 0.3) + 1);
    const args = ["-v", "error", "-f", "f32le", "-ar", `${rate}`, "-ac", "1", "-i", "-"];
    const { stdout } = spawnSync("ffmpeg", [...args, "-ar", "16000", "-f", "f32le", "-"], {
      input: new Uint8Array(samples.buffer),
    });
    const expected = new Float32Array(Uint8Array.from(stdout).buffer);
    const found = await joined(samples, 1000, rate, 16_000);
    // Where the end falls between two samples, ffmpeg may or may not give one more.
    assert.ok(expected.length - found.length <= 1, `${rate} Hz: ${found.length} of ${expected.length}`);
    assertClose(found, expected.subarray(0, found.length), 5e-5, `${rate} Hz`);
  }
});

test("a stream gives the same samples however it is cut, and few are enough", async () => {
  for (const rate of rates) {
    const samples = seededUniform(`cut ${rate}`, 5000);
    const whole = await joined(samples, samples.length, rate, 16_000);
    for (const length of [7, 160, 4999]) {
      assert.deepEqual(await joined(samples, length, rate, 16_000), whole, `${rate} Hz by ${length}`);
    }
    const few = await joined(samples.subarray(0, 10), 3, rate, 16_000);
    assert.equal(few.length, Math.floor((10 * 16_000) / rate));
    assert.ok(few.every(Number.isFinite));
    assert.deepEqual(await joined(new Float32Array(0), 10, rate, 16_000), []);
  }
});
