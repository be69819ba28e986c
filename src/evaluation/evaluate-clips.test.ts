import assert from "node:assert/strict";
import test from "node:test";
import type { Clip } from "../datasets/clip.js";
import type { ClipBatch, Predictor } from "../inference/predictor.js";
import { Random } from "../random.js";
import { f32, type TensorOf } from "../tensor.js";
import { type EvaluationState, evaluateClips } from "./evaluate-clips.js";
import { namedMetrics } from "./result.js";

const side = 8;
const STEPS = 2;

/** A clip whose masks and frames are noise; `background` gives every frame of it no object. */
function makeClip(
  index: number,
  options: {
    classes?: number | undefined;
    frameMask?: number[] | undefined;
    background?: boolean | undefined;
  } = {},
): Clip {
  const random = new Random(index, 77);
  const bytes = (n: number, below: number): Uint8Array<ArrayBuffer> =>
    Uint8Array.from({ length: n }, () => random.integer(below));
  const { classes = 2, frameMask = [1, 1], background = false } = options;
  const masks = bytes(STEPS * side * side, background ? 1 : classes);
  return {
    id: `clip-${index}`,
    category: index % 2 === 0 ? "dog" : "cat",
    frames: { dtype: "u8", shape: [STEPS, side, side, 3], data: bytes(STEPS * side * side * 3, 256) },
    logMel: f32(new Float32Array(STEPS * 96 * 64), [STEPS, 1, 96, 64]),
    masks: { dtype: "u8", shape: [STEPS, side, side], data: masks },
    labeled: [0, 1],
    frameMask: f32(frameMask, [STEPS]),
  };
}

/** Predicts from the frames' colors: red for the binary tasks, some mix per class otherwise. */
function makePredictor(classes: number, log: number[] = [], clipsPerRun = 4): Predictor {
  return {
    frameCount: STEPS,
    imageSize: side,
    maskSize: side,
    classes: Array.from({ length: classes }, (_, k) => `class ${k}`),
    clipsPerRun,
    predict: async ({ frames, frameMask }: ClipBatch): Promise<TensorOf<"f32">> => {
      const [steps = 0] = frames.shape;
      log.push(steps / STEPS);
      const pixels = side * side;
      const logits = new Float32Array(steps * classes * pixels);
      for (let i = 0; i < logits.length; i++) {
        const frame = Math.floor(i / (classes * pixels));
        const k = Math.floor(i / pixels) % classes;
        const pixel = frame * pixels + (i % pixels);
        logits[i] =
          ((frames.data[pixel * 3 + (k % 3)] ?? 0) / 64 - 2) * (1 - k / 10) * (frameMask.data[frame] ?? 0);
      }
      return f32(logits, [steps, classes, side, side]);
    },
    close: async () => {},
  };
}

async function* inGroups(clips: readonly Clip[], size: number): AsyncGenerator<Clip[]> {
  for (let i = 0; i < clips.length; i += size) yield clips.slice(i, i + size);
}

const binaryClips = Array.from({ length: 7 }, (_, i) => makeClip(i, { background: i === 5 }));

test("batches are those of batchSize, whatever groups the clips come in", async () => {
  const log: number[] = [];
  const common = { predictor: makePredictor(1, log), task: "s4", total: 7, batchSize: 3 } as const;
  const one = await evaluateClips({ ...common, clips: inGroups(binaryClips, 1) });
  assert.deepEqual(log, [3, 3, 1]);
  const other = await evaluateClips({ ...common, clips: inGroups(binaryClips, 5) });
  assert.deepEqual(other, one);
  assert.equal(one.task, "s4");
  assert.deepEqual(
    one.clips.map((row) => row.id),
    binaryClips.map((clip) => clip.id),
  );
  assert.deepEqual(
    one.categories.map((row) => [row.category, row.clips, row.frames]),
    [
      ["cat", 3, 6],
      ["dog", 4, 8],
    ],
  );
  assert.equal(one.clips[5]?.fscore, null); // no frame of it has an object
});

test("per-frame metrics do not depend on the batch size, published ones do", async () => {
  const run = (batchSize: number) =>
    evaluateClips({
      predictor: makePredictor(1),
      task: "s4",
      total: 7,
      batchSize,
      clips: inGroups(binaryClips, 2),
    });
  const [three, one] = [await run(3), await run(1)];
  assert.ok(three.task !== "avss" && one.task !== "avss");
  assert.ok(Math.abs(three.metrics.miouPerFrame - one.metrics.miouPerFrame) < 1e-12);
  assert.ok(Math.abs(three.metrics.fscorePerFrame - one.metrics.fscorePerFrame) < 1e-12);
  assert.notEqual(three.metrics.miouPublishedPerBatch, one.metrics.miouPublishedPerBatch);
  const meanOfClips = one.clips.reduce((sum, row) => sum + row.miou, 0) / 7;
  assert.ok(Math.abs(one.metrics.miouPublishedPerBatch - meanOfClips) < 1e-12);
  assert.equal(one.summary.miou, one.metrics.miouPublishedPerBatch);
  assert.equal(namedMetrics(one)[0]?.name, "miouPublishedPerBatch");
});

for (const task of ["ms3", "avss"] as const) {
  test(`${task}: an interrupted evaluation is resumed to the same result`, async () => {
    const classes = task === "avss" ? 4 : 1;
    const clips = Array.from({ length: 7 }, (_, i) =>
      makeClip(i, { classes: Math.max(2, classes), frameMask: [1, i % 2] }),
    );
    const predictor = makePredictor(classes);
    const common = { predictor, task, total: 7, batchSize: 2 } as const;
    const whole = await evaluateClips({ ...common, clips: inGroups(clips, 2) });
    const stop = new AbortController();
    let saved: EvaluationState | undefined;
    const interrupted = evaluateClips({
      ...common,
      clips: inGroups(clips, 2),
      stateEvery: 1,
      onState: (state) => {
        saved = JSON.parse(JSON.stringify(state));
        if (state.clips === 4) stop.abort();
      },
      signal: stop.signal,
    });
    await assert.rejects(interrupted, { name: "AbortError" });
    assert.ok(saved);
    const resumed = await evaluateClips({
      ...common,
      clips: inGroups(clips.slice(saved.clips), 2),
      resumeFrom: saved,
    });
    assert.deepEqual(resumed, whole);
  });

  test(`${task}: an abort amid a batch saves the state after the last whole one`, async () => {
    const classes = task === "avss" ? 4 : 1;
    const clips = Array.from({ length: 7 }, (_, i) => makeClip(i, { classes: Math.max(2, classes) }));
    const common = {
      predictor: makePredictor(classes, [], 1),
      task,
      total: 7,
      batchSize: 2,
    } as const;
    const whole = await evaluateClips({ ...common, clips: inGroups(clips, 2) });
    const stop = new AbortController();
    const saved: EvaluationState[] = [];
    const interrupted = evaluateClips({
      ...common,
      clips: inGroups(clips, 2),
      onMasks: (clip) => {
        if (clip.id === "clip-4") stop.abort();
      },
      onState: (state) => {
        saved.push(JSON.parse(JSON.stringify(state)));
      },
      signal: stop.signal,
    });
    await assert.rejects(interrupted, { name: "AbortError" });
    assert.deepEqual(
      saved.map((state) => state.clips),
      [4],
    );
    const [resumeFrom] = saved;
    assert.ok(resumeFrom);
    const resumed = await evaluateClips({ ...common, clips: inGroups(clips.slice(4), 2), resumeFrom });
    assert.deepEqual(resumed, whole);
  });
}

test("avss: padded frames count in the published metrics only", async () => {
  const clips = [makeClip(0, { classes: 3 }), makeClip(1, { classes: 3, frameMask: [1, 0] })];
  clips[1]?.masks.data.fill(0, side * side);
  const log: number[] = [];
  const options = { predictor: makePredictor(3, log, 1), task: "avss", total: 2, batchSize: 2 } as const;
  const result = await evaluateClips({ ...options, clips: inGroups(clips, 2) });
  assert.deepEqual(log, [1, 1]);
  assert.ok(result.task === "avss");
  assert.equal(result.metrics.frames, 3);
  assert.equal(result.metrics.paddedFrames, 1);
  // The padded frame is background in truth and prediction, so it lifts the background's average.
  assert.ok(result.metrics.miouPublished > result.metrics.miouPerImage);
  assert.equal(result.clips[1]?.frames, 1);
  assert.equal(result.classes.length, 3);
  assert.equal(result.summary.miou, result.metrics.miouPublished);
});

test("avss: a padded frame without ground truth is background", async () => {
  const padded = makeClip(1, { classes: 3, frameMask: [1, 0] });
  padded.masks.data.fill(0, side * side);
  const short: Clip = {
    ...padded,
    labeled: [0],
    masks: { dtype: "u8", shape: [1, side, side], data: padded.masks.data.slice(0, side * side) },
  };
  const run = (clip: Clip) =>
    evaluateClips({
      predictor: makePredictor(3),
      task: "avss",
      total: 1,
      batchSize: 1,
      clips: inGroups([clip], 1),
    });
  assert.deepEqual(await run(short), await run(padded));
});

test("masks are handed over clip by clip, every frame of them", async () => {
  const seen: string[] = [];
  await evaluateClips({
    predictor: makePredictor(1),
    task: "s4",
    total: 2,
    batchSize: 2,
    clips: inGroups(binaryClips.slice(0, 2), 2),
    onMasks: (clip, masks) => {
      assert.deepEqual(masks.shape, [STEPS, side, side]);
      const red = Array.from(masks.data, (_, i) => ((clip.frames.data[i * 3] ?? 0) > 128 ? 1 : 0));
      assert.deepEqual([...masks.data], red);
      seen.push(clip.id);
    },
  });
  assert.deepEqual(seen, ["clip-0", "clip-1"]);
});

test("what does not fit is named", async () => {
  const base = { predictor: makePredictor(1), task: "s4", total: 1, batchSize: 1 } as const;
  const clip = makeClip(0);
  const wrongSize: Clip = { ...clip, masks: { dtype: "u8", shape: [2, 4, 8], data: new Uint8Array(64) } };
  await assert.rejects(evaluateClips({ ...base, clips: inGroups([wrongSize], 1) }), {
    name: "DatasetError",
    message: "clip clip-0: expected masks u8[2,8,8] for this model, found u8[2,4,8]",
  });
  const tooManyClasses = makeClip(0, { classes: 200 });
  await assert.rejects(
    evaluateClips({ ...base, clips: inGroups([tooManyClasses], 1) }),
    /expected mask values below 2/,
  );
  await assert.rejects(evaluateClips({ ...base, clips: inGroups([], 1) }), /at least one clip/);
  for (const bad of [Number.NaN, Number.NEGATIVE_INFINITY]) {
    const predict = async (): Promise<TensorOf<"f32">> =>
      f32(new Float32Array(STEPS * side * side).fill(bad, 70, 71), [STEPS, 1, side, side]);
    await assert.rejects(
      evaluateClips({ ...base, predictor: { ...makePredictor(1), predict }, clips: inGroups([clip], 1) }),
      { name: "AvsegError", message: "clip clip-0: the model's logits are not finite numbers" },
    );
  }
});
