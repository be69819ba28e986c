import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { logMelOf } from "../../../test/support.js";
import { tempDir } from "../../../test/temp-dir.js";
import { DatasetError, OutputError } from "../../errors.js";
import { logMelExamples } from "../../media/log-mel.js";
import { probeVideo } from "../../media/node/probe-video.js";
import { readFrames, readMonoSound } from "../../media/node/read-video.js";
import { openDataset } from "../avsbench/open-dataset.js";
import type { Task } from "../clip.js";
import { novelKinds } from "./kinds.js";
import { renderClip } from "./render-clip.js";
import { writeSoundShapes } from "./write.js";

const counts = { train: 2, val: 1, test: 3 };

for (const task of ["s4", "ms3", "avss"] satisfies Task[]) {
  test(`${task}: what is written reads back as it was rendered`, async (t) => {
    const root = await tempDir(t);
    const { folder } = await writeSoundShapes({ task, root, counts, imageSize: 48, seed: 5 });
    for (const split of ["train", "val", "test"] as const) {
      const dataset = await openDataset({ task, root, split, imageSize: 48 });
      assert.equal(dataset.entries.length, counts[split]);
      const clip = await dataset.load(0);
      const made = renderClip({ task, split, index: 0, seed: 5, imageSize: 48 });
      const steps = made.plan.stepCount;
      const frames = clip.frames.data.subarray(0, made.frames.data.length);
      // AVSS frames are JPEG files, the others are lossless.
      const worst = frames.reduce(
        (most, v, i) => Math.max(most, Math.abs(v - (made.frames.data[i] as number))),
        0,
      );
      assert.ok(worst <= (task === "avss" ? 40 : 0), `frames differ by ${worst}`);
      const onlyFirst = split === "train" && task !== "ms3";
      assert.equal(clip.labeled.length, onlyFirst ? 1 : steps);
      assert.deepEqual(clip.masks.data, made.masks.data.slice(0, clip.masks.data.length));
      const heard = logMelExamples(
        made.samples.map((x) => Math.round(x * 32768) / 32768),
        16000,
      );
      heard.data.forEach((value, i) => {
        assert.ok(Math.abs(value - (logMelOf(clip).data[i] as number)) < 1e-4);
      });
    }
    assert.equal(
      (await readFile(path.join(folder, "sound-shapes.json"), "utf8")).includes('"complete": true'),
      true,
    );
  });
}

test("the given kinds are the classes", async (t) => {
  const root = await tempDir(t);
  await writeSoundShapes({ task: "avss", root, counts, imageSize: 32, kinds: novelKinds });
  const dataset = await openDataset({ task: "avss", root, split: "val", imageSize: 32 });
  assert.deepEqual(dataset.classes, ["background", ...novelKinds]);
  assert.ok((await dataset.load(0)).masks.data.every((label) => label <= 2));
});

test("complete data is kept, data of other options is replaced, foreign data is refused", async (t) => {
  const root = await tempDir(t);
  const options = { task: "ms3", root, counts, imageSize: 32 } as const;
  const first = await writeSoundShapes(options);
  assert.deepEqual([first.written, first.replaced], [true, false]);
  const again = await writeSoundShapes(options);
  assert.deepEqual([again.written, again.replaced], [false, false]);
  const other = await writeSoundShapes({ ...options, seed: 9 });
  assert.deepEqual([other.written, other.replaced], [true, true]);
  const fewer = { ...options, counts: { ...counts, test: 1 } };
  await writeSoundShapes(fewer);
  const left = await readdir(path.join(first.folder, "ms3_data/gt_masks/test"));
  assert.deepEqual(left, ["shapes_test_00000"]);
  await mkdir(path.join(root, "Single-source"));
  await writeFile(path.join(root, "Single-source/s4_meta_data.csv"), "name,start,category,split\n");
  await assert.rejects(writeSoundShapes({ ...options, task: "s4" }), (error: unknown) => {
    assert.ok(error instanceof OutputError && error.message.includes("Single-source") && error.hint);
    return true;
  });
});

test("an interrupted run leaves nothing that can be opened, and the next one completes it", async (t) => {
  const root = await tempDir(t);
  const abort = new AbortController();
  const options = { task: "s4", root, counts, imageSize: 32 } as const;
  const stopped = writeSoundShapes({
    ...options,
    signal: abort.signal,
    onProgress: ({ done }) => {
      if (done === 2) abort.abort(new Error("enough"));
    },
  });
  await assert.rejects(stopped, /enough/);
  const open = () => openDataset({ task: "s4", root, split: "test", imageSize: 32 });
  await assert.rejects(open(), DatasetError);
  assert.equal((await writeSoundShapes(options)).written, true);
  assert.equal((await open()).entries.length, counts.test);
});

test("options out of range are refused before anything is written", async (t) => {
  const root = await tempDir(t);
  const options = { task: "s4", root, counts } as const;
  await assert.rejects(writeSoundShapes({ ...options, imageSize: 8 }), RangeError);
  await assert.rejects(writeSoundShapes({ ...options, clipsAsVideo: 4 }), RangeError);
  await assert.rejects(writeSoundShapes({ ...options, counts: { ...counts, val: -1 } }), RangeError);
  assert.deepEqual(await readdir(root), []);
});

test("a video has the frames of the steps at their times, and the sound of the clip", async (t) => {
  const root = await tempDir(t);
  const written = await writeSoundShapes({ task: "s4", root, counts, imageSize: 64, clipsAsVideo: 1 });
  const info = await probeVideo(written.videos[0] ?? "");
  const made = renderClip({ task: "s4", split: "test", index: 0, seed: 123, imageSize: 64 });
  const size = 64 * 64 * 3;
  let steps = 0;
  for await (const { index, rgb } of readFrames(info)) {
    // Nearer to its own step's frame than to the neighbors': compression blurs, a second moves things.
    const distance = (step: number): number => {
      const frame = made.frames.data.subarray(step * size, (step + 1) * size);
      return rgb.reduce((sum, v, i) => sum + Math.abs(v - (frame[i] as number)), 0) / size;
    };
    assert.ok(distance(index) < 12, `step ${index} differs by ${distance(index)} gray levels`);
    if (index < 4) assert.ok(distance(index) < distance(index + 1));
    steps++;
  }
  assert.equal(steps, 5);
  const pieces: Float32Array[] = [];
  for await (const piece of readMonoSound(info, { sampleRateHz: 16000 })) pieces.push(piece);
  const sound = Float32Array.from(pieces.flatMap((piece) => [...piece]));
  const wanted = logMelExamples(made.samples, 16000).data;
  const heard = logMelExamples(sound, 16000).data;
  const mean = wanted.reduce((sum, v, i) => sum + Math.abs(v - (heard[i] ?? 0)), 0) / wanted.length;
  assert.ok(mean < 0.35, `log-mels differ by ${mean}`);
});
