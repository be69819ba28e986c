import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { seededInput } from "../../test/support.js";
import { logMelExamples, VGGISH_RATE_HZ } from "../media/log-mel.js";
import { f32 } from "../tensor.js";
import { logMelOf, samplesOf } from "./audio-frontend.js";

/** A loud tone beside silence, then noise: bands between full scale and nothing. */
function sound(seconds: number, hz: number): Float32Array<ArrayBuffer> {
  const noise = seededInput(`noise ${hz}`, [seconds * VGGISH_RATE_HZ]).data;
  return noise.map((u, i) => {
    const time = i / VGGISH_RATE_HZ;
    return time < 1 ? 0 : time < 2 ? Math.sin(2 * Math.PI * hz * time) : u * Math.exp(-time);
  });
}

test("log-mels made in the graph equal those of the media layer, clip by clip", async () => {
  const seconds = 3;
  const clips = [sound(seconds, 440), sound(seconds, 3000)];
  const feed = f32(Float32Array.from(clips.flatMap((clip) => [...clip])), [2, samplesOf(seconds)]);
  const { y } = await evaluate({ y: logMelOf(inputLike("sound", feed), seconds) }, { sound: feed });
  assert.deepEqual(y?.shape, [2 * seconds, 1, 96, 64]);
  const expected = clips.flatMap((clip) => [...logMelExamples(clip, VGGISH_RATE_HZ).data]);
  assert.equal(y?.data.length, expected.length);
  const worst = expected.reduce((most, x, i) => Math.max(most, Math.abs(x - Number(y?.data[i]))), 0);
  assert.ok(worst < 1e-5, `largest difference ${worst}`);
  // Silence is at the floor, the tone far above it: the comparison saw both.
  assert.ok(Math.min(...expected) < -4.6 && Math.max(...expected) > 3);
});
