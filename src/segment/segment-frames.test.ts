import assert from "node:assert/strict";
import path from "node:path";
import test, { after, before } from "node:test";
import { tempDir } from "../../test/temp-dir.js";
import { tinyClip, tinyConfig, writeTinyModel } from "../../test/tiny-model.js";
import { writeClipVideo } from "../datasets/sound-shapes/video.js";
import { CheckpointError, MediaError } from "../errors.js";
import type { Predictor } from "../inference/predictor.js";
import type { TensorOf } from "../tensor.js";
import { openModel } from "./node/open-model.js";
import { segmentVideo } from "./node/segment-video.js";
import { segmentFrames } from "./segment-frames.js";
import type { SegmentedFrame } from "./step-stream.js";

const dir = await tempDir({ after });
let model: Predictor;
before(async () => {
  const checkpoint = path.join(dir, "tiny.safetensors");
  await writeTinyModel(checkpoint);
  model = await openModel({ checkpoint, runtime: { threads: 1 } });
});
after(() => model.close());

async function all(frames: AsyncIterable<SegmentedFrame>): Promise<SegmentedFrame[]> {
  const list: SegmentedFrame[] = [];
  for await (const frame of frames) list.push(frame);
  return list;
}

const withAlpha = ({ shape, data }: TensorOf<"u8">): TensorOf<"u8"> => {
  const pixels = data.length / 3;
  const rgba = Uint8Array.from({ length: 4 * pixels }, (_, i) =>
    i % 4 === 3 ? i % 256 : (data[3 * Math.floor(i / 4) + (i % 4)] ?? 0),
  );
  return { dtype: "u8", shape: [...shape.slice(0, 2), 4], data: rgba };
};

test("pictures of any number: a mask each at their size, alpha ignored, progress reported", async () => {
  const clip = tinyClip(tinyConfig.frameCount + 1);
  const progress: number[] = [];
  const frames = await all(segmentFrames(clip, model, { onProgress: ({ done }) => progress.push(done) }));
  assert.deepEqual(
    frames.map(({ index, mask }) => [index, mask.width, mask.height]),
    clip.frames.map((_, i) => [i, 100, 80]),
  );
  assert.deepEqual(progress, [1, 2, 3, 4, 5, 6]);
  const again = await all(segmentFrames({ ...clip, frames: clip.frames.map(withAlpha) }, model));
  assert.deepEqual(
    again.map((f) => f.mask),
    frames.map((f) => f.mask),
  );
  assert.ok(frames.some((f) => f.peak > 0.1));
  const silent = await all(segmentFrames({ frames: clip.frames.slice(0, 1) }, model));
  assert.deepEqual([silent[0]?.peak, silent[0]?.silent, silent[0]?.mask.regions], [0, true, []]);
  assert.ok(frames.every((frame) => !frame.silent));
});

test("no pictures give no masks; other sizes and forms are refused", async () => {
  assert.deepEqual(await all(segmentFrames({ frames: [] }, model)), []);
  const [first] = tinyClip(1, 100, 80).frames;
  const [other] = tinyClip(1, 80, 100).frames;
  assert.ok(first && other);
  await assert.rejects(all(segmentFrames({ frames: [first, other] }, model)), {
    name: "RangeError",
    message: "frames[1]: 80x100, expected 100x80",
  });
  const gray: TensorOf<"u8"> = { dtype: "u8", shape: [8, 8], data: new Uint8Array(64) };
  await assert.rejects(all(segmentFrames({ frames: [gray] }, model)), {
    name: "TypeError",
    message: "frames[0]: expected u8[H,W,3] or u8[H,W,4], got u8[8,8]",
  });
});

test("a signal stops the work with its reason", async () => {
  const stop = new AbortController();
  const frames: SegmentedFrame[] = [];
  const reason = new Error("enough");
  const run = async () => {
    for await (const frame of segmentFrames(tinyClip(20), model, { signal: stop.signal })) {
      frames.push(frame);
      stop.abort(reason);
    }
  };
  await assert.rejects(run(), (error) => error === reason);
  assert.equal(frames.length, 1);
});

test("a video is a stream of frames that may be left early", async () => {
  const video = path.join(dir, "clip.mp4");
  await writeClipVideo({ task: "ms3", split: "test", index: 0, seed: 1, imageSize: 64 }, video);
  const frames = await all(segmentVideo(video, model));
  assert.deepEqual(
    frames.map((f) => f.timeSeconds),
    [0.9375, 1.9375, 2.9375, 3.9375, 4.9375],
  );
  for await (const frame of segmentVideo(video, model)) {
    assert.deepEqual(frame.mask, frames[0]?.mask);
    break;
  }
  await assert.rejects(all(segmentVideo(path.join(dir, "none.mp4"), model)), MediaError);
  await assert.rejects(all(segmentVideo(path.join(dir, "tiny.safetensors"), model)), MediaError);
});

test("files that are not models are refused", async () => {
  await assert.rejects(openModel({ checkpoint: path.join(dir, "none.safetensors") }), CheckpointError);
  const video = path.join(dir, "clip.mp4");
  await assert.rejects(openModel({ checkpoint: video }), CheckpointError);
  await assert.rejects(openModel({ checkpoint: dir }), CheckpointError);
});
