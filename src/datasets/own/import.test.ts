import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { tempDir } from "../../../test/temp-dir.js";
import { DatasetError, LockedError, OutputError } from "../../errors.js";
import { encodePng } from "../../media/node/image-file.js";
import { type Labels, labelPicture } from "../../media/painting.js";
import type { ImageTensor } from "../../media/resize.js";
import { writeFileAtomic } from "../../node/files.js";
import { checkDataset } from "../avsbench/check.js";
import { openDataset } from "../avsbench/open-dataset.js";
import type { ClipSpec } from "../sound-shapes/plan.js";
import { renderClip } from "../sound-shapes/render-clip.js";
import { writeClipVideo } from "../sound-shapes/video.js";
import { importDataset } from "./import.js";

const size = 64;
const spec = (index: number): ClipSpec => ({ task: "ms3", split: "train", index, seed: 2, imageSize: size });

/** A folder of `count` labeled videos of five seconds. */
async function labeled(t: TestContext, count: number): Promise<{ source: string; root: string }> {
  const dir = await tempDir(t);
  const source = path.join(dir, "own");
  for (let i = 0; i < count; i++) {
    const clip = renderClip(spec(i));
    await writeClipVideo(spec(i), path.join(source, `my video ${i}.mp4`));
    for (let second = 0; second < 5; second++) {
      const data = clip.masks.data
        .slice(second * size * size, (second + 1) * size * size)
        .map((v) => 255 * v);
      const mask = await encodePng({ dtype: "u8", shape: [size, size], data });
      await writeFileAtomic(path.join(source, `my video ${i}`, `mask_${second}.png`), mask);
    }
  }
  return { source, root: path.join(dir, "data") };
}

test("videos with masks become a dataset whose splits share no video", async (t) => {
  const { source, root } = await labeled(t, 4);
  const { clips, folder, unused } = await importDataset({ task: "ms3", source, root, imageSize: size });
  assert.deepEqual(clips, { train: 2, val: 1, test: 1 });
  assert.deepEqual(unused, []);
  assert.deepEqual((await checkDataset({ task: "ms3", root })).issues, []);
  const train = await openDataset({ task: "ms3", root, split: "train", imageSize: size });
  const clip = await train.load(0);
  const index = Number(/my-video-(\d)_0_5/.exec(clip.id)?.[1]);
  const made = renderClip(spec(index));
  assert.deepEqual(clip.masks.data, made.masks.data);
  const apart = clip.frames.data.reduce(
    (sum, v, i) => sum + Math.abs(v - (made.frames.data[i] as number)),
    0,
  );
  assert.ok(apart / clip.frames.data.length < 12, "frames differ");
  await assert.rejects(importDataset({ task: "ms3", source, root }), OutputError);
  assert.ok((await readdir(folder)).includes("ms3_meta_data.csv"));
});

test("S4: one mask is enough to train on, and the folder is the category", async (t) => {
  const { source, root } = await labeled(t, 2);
  for (const second of [1, 2, 3, 4]) await rm(path.join(source, "my video 0", `mask_${second}.png`));
  for (const name of ["my video 0.mp4", "my video 0", "my video 1.mp4", "my video 1"]) {
    await mkdir(path.join(source, "shapes"), { recursive: true });
    await rename(path.join(source, name), path.join(source, "shapes", name));
  }
  const { clips } = await importDataset({ task: "s4", source, root, imageSize: size, testFraction: 0 });
  assert.deepEqual(clips, { train: 2, val: 0, test: 0 });
  const train = await openDataset({ task: "s4", root, split: "train", imageSize: size });
  assert.deepEqual([...new Set(train.entries.map((entry) => entry.category))], ["shapes"]);
});

test("AVSS: masks name classes by number or by color", async (t) => {
  const { source, root } = await labeled(t, 3);
  const classes = ["disc", "star"];
  /** Masks of video `i` with the class `label` where something sounds. */
  const relabel = async (i: number, picture: (labels: Labels) => ImageTensor, label = 2): Promise<void> => {
    const { data } = renderClip(spec(i)).masks;
    for (let second = 0; second < 5; second++) {
      const labels = data.slice(second * size * size, (second + 1) * size * size).map((v) => label * v);
      const png = await encodePng(picture({ shape: [size, size], data: labels }));
      await writeFileAtomic(path.join(source, `my video ${i}`, `mask_${second}.png`), png);
    }
  };
  const numbered = ({ shape, data }: Labels): ImageTensor => ({
    dtype: "u8",
    shape,
    data: Uint8Array.from(data),
  });
  await relabel(0, numbered);
  await relabel(1, (labels) => labelPicture(labels, true));
  const options = { task: "avss", source, root, imageSize: size, classes } as const;
  await assert.rejects(importDataset(options), (error: unknown) => {
    assert.ok(error instanceof DatasetError);
    assert.match(error.message, /mask_0.png.*none of the 3 classes.*\(255, 255, 255\)/);
    return true;
  });
  await relabel(2, numbered, 1);
  const { clips, folder } = await importDataset(options);
  assert.deepEqual(clips, { train: 1, val: 1, test: 1 });
  assert.deepEqual((await checkDataset({ task: "avss", root })).issues, []);
  for (const split of ["train", "val", "test"] as const) {
    const data = await openDataset({ task: "avss", root, split, imageSize: size, frameCount: 5 });
    assert.deepEqual(data.classes, ["background", ...classes]);
    const clip = await data.load(0);
    assert.deepEqual([...clip.frameMask.data], [1, 1, 1, 1, 1]);
    const index = Number(/my-video-(\d)_0_5/.exec(clip.id)?.[1]);
    const label = index === 2 ? 1 : 2;
    assert.deepEqual(
      clip.masks.data,
      renderClip(spec(index)).masks.data.map((v) => label * v),
    );
  }
  assert.ok((await readdir(folder)).includes("label2idx.json"));
  for (const bad of [undefined, [], ["disc", "disc"], ["background"], [""]]) {
    const { classes: _, ...rest } = options;
    await assert.rejects(importDataset({ ...rest, classes: bad }), RangeError);
  }
});

test("unused files are listed with the reason", async (t) => {
  const { source, root } = await labeled(t, 3);
  const move = (from: string, to: string) => rename(path.join(source, from), path.join(source, to));
  await rm(path.join(source, "my video 0", "mask_2.png"));
  await move("my video 1.mp4", "other.mp4");
  await move("my video 1/mask_0.png", "my video 2/a.png");
  const { clips, unused } = await importDataset({ task: "ms3", source, root, imageSize: size });
  assert.deepEqual(clips, { train: 1, val: 0, test: 0 });
  const masks = (folder: string, ...seconds: number[]) => seconds.map((n) => `${folder}/mask_${n}.png`);
  const plain = unused.map(({ reason, files }) => [reason, files.map((f) => f.replaceAll(path.sep, "/"))]);
  assert.deepEqual(Object.fromEntries(plain), {
    "as no clip of five seconds takes them": masks("my video 0", 0, 1, 3, 4),
    "as no video beside their folder has its name": masks("my video 1", 1, 2, 3, 4),
    "as a mask is a PNG file whose name ends in its second": ["my video 2/a.png"],
    "as they have no masks": ["other.mp4"],
  });
});

test("errors of an import name the reason", async (t) => {
  const { source, root } = await labeled(t, 1);
  const masks = path.join(source, "my video 0");
  const rejects = async (...parts: string[]): Promise<void> => {
    await assert.rejects(importDataset({ task: "ms3", source, root }), (error: unknown) => {
      assert.ok(error instanceof DatasetError && error.hint, String(error));
      for (const part of parts) assert.ok(error.message.includes(part), error.message);
      return true;
    });
    assert.ok(!existsSync(root), "a failed import leaves no folder");
  };
  const small = await encodePng({ dtype: "u8", shape: [8, 8], data: new Uint8Array(64) });
  await writeFileAtomic(path.join(masks, "mask_3.png"), small);
  await rejects("mask_3.png", "8x8", "64x64");
  await writeFileAtomic(path.join(masks, "mask_1.png"), small);
  await rejects("2 of 5 masks cannot be used", "mask_1.png: the mask is 8x8", "mask_3.png: the mask is 8x8");
  await writeFileAtomic(path.join(masks, "again_3.png"), small);
  await rejects("again_3.png", "mask_3.png", "second 3");
  await rm(path.join(masks, "again_3.png"));
  await rm(path.join(masks, "mask_3.png"));
  await rejects("five consecutive seconds");
  await rm(masks, { recursive: true });
  await rejects("none with a folder of masks");
});

test("two imports into one root at a time: the second is refused", async (t) => {
  const { source, root } = await labeled(t, 1);
  const options = { task: "ms3", source, root, imageSize: size } as const;
  const second: Promise<unknown>[] = [];
  await importDataset({
    ...options,
    onProgress: () => void second.push(assert.rejects(importDataset(options), LockedError)),
  });
  await Promise.all(second);
  assert.equal(second.length, 1);
  assert.deepEqual(await readdir(root), ["Multi-sources"]);
});
