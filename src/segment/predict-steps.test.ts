import assert from "node:assert/strict";
import test from "node:test";
import { logMelOf } from "../../test/support.js";
import type { ClipBatch, Predictor } from "../inference/predictor.js";
import { SILENT_LOG_MEL } from "../media/log-mel.js";
import { fullStep } from "../media/step-times.js";
import type { StepFrame } from "../media/video.js";
import type { TensorOf } from "../tensor.js";
import { predictSteps, type Step } from "./predict-steps.js";

const side = 4;

/** A predictor of T steps whose logits are the frames' red minus 128, and that keeps its inputs. */
function fake(frameCount: number): Predictor & { readonly batches: ClipBatch[] } {
  const batches: ClipBatch[] = [];
  return {
    batches,
    frameCount,
    imageSize: side,
    maskSize: side,
    classes: ["sounding"],
    clipsPerRun: 1,
    async predict(batch): Promise<TensorOf<"f32">> {
      batches.push(batch);
      const data = Float32Array.from(
        { length: frameCount * side * side },
        (_, i) => batch.frames.data[i * 3]! - 128,
      );
      return { dtype: "f32", shape: [frameCount, 1, side, side], data };
    },
    async close() {},
  };
}

async function* frames(count: number, coveredLast = 1): AsyncGenerator<StepFrame, void, undefined> {
  for (let index = 0; index < count; index++) {
    const rgb = new Uint8Array(side * side * 3).fill(index % 2 ? 255 : 0);
    const coveredSeconds = index === count - 1 ? coveredLast : 1;
    yield { ...fullStep(index), coveredSeconds, rgb };
  }
}

/** A tone that starts at `from` seconds, in pieces of odd lengths. */
async function* tone(seconds: number, from = 0): AsyncGenerator<Float32Array, void, undefined> {
  for (let at = 0; at < seconds * 16_000; at += 1237) {
    const length = Math.min(1237, seconds * 16_000 - at);
    yield Float32Array.from({ length }, (_, i) => (at + i < from * 16_000 ? 0 : Math.sin((at + i) / 5)));
  }
}

async function all(steps: AsyncIterable<Step>): Promise<Step[]> {
  const out: Step[] = [];
  for await (const step of steps) out.push(step);
  return out;
}

const silent = (values: Float32Array) => values.every((x) => x === Math.fround(SILENT_LOG_MEL));

test("windows of T steps; the last repeats its frame, and only real steps come out", async () => {
  const predictor = fake(5);
  const steps = await all(predictSteps(predictor, { frames: frames(7, 0.5), sound: tone(7) }));
  assert.deepEqual(
    steps.map(({ index, probabilities }) => [index, probabilities.activeClasses.length]),
    [0, 1, 2, 3, 4, 5, 6].map((k) => [k, k % 2]),
  );
  const [first, second] = predictor.batches;
  assert.equal(predictor.batches.length, 2);
  assert.deepEqual([...first!.frameMask.data], [1, 1, 1, 1, 1]);
  assert.deepEqual([...second!.frameMask.data], [1, 1, 0, 0, 0]);
  const bytes = side * side * 3;
  assert.deepEqual(second!.frames.data.slice(bytes, 2 * bytes), second!.frames.data.slice(4 * bytes));
  // One and a half seconds of sound make one example, which is repeated.
  assert.deepEqual(logMelOf(second!).data.slice(0, 6144), logMelOf(second!).data.slice(4 * 6144));
});

test("sound stays with its second, and is silent where there is none", async () => {
  const predictor = fake(5);
  const steps = await all(predictSteps(predictor, { frames: frames(10), sound: tone(8, 6) }));
  assert.deepEqual(
    steps.map(({ peak }) => peak > 0),
    [false, false, false, false, false, false, true, true, false, false],
  );
  assert.ok(silent(logMelOf(predictor.batches[0]!).data));
  const second = logMelOf(predictor.batches[1]!).data;
  assert.ok(silent(second.slice(0, 6144)) && !silent(second.slice(6144, 2 * 6144)));
  assert.ok(silent(second.slice(4 * 6144)));
});

test("no frames give no steps, and an abort ends the stream", async () => {
  const predictor = fake(5);
  assert.deepEqual(await all(predictSteps(predictor, { frames: frames(0), sound: tone(0) })), []);
  assert.equal(predictor.batches.length, 0);
  const reason = new Error("enough");
  await assert.rejects(
    all(predictSteps(predictor, { frames: frames(3), sound: tone(3), signal: AbortSignal.abort(reason) })),
    reason,
  );
});
