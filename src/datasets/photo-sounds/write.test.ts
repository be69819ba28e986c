import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import sharp from "sharp";
import { testCatalog, testFiles } from "../../../test/photo-sources.js";
import { tempDir } from "../../../test/temp-dir.js";
import { readRgb } from "../../media/node/image-file.js";
import { probeVideo } from "../../media/node/probe-video.js";
import { openDataset } from "../avsbench/open-dataset.js";
import { parseTable } from "../avsbench/table.js";
import type { Task } from "../clip.js";
import { type PhotoClipSpec, planPhotoClip } from "./plan.js";
import { PhotoStudio } from "./render-clip.js";
import { normalized, sampleRateHz } from "./sound.js";
import { sidesOf, writePhotoSounds } from "./write.js";

const studio = await PhotoStudio.open({ catalog: testCatalog, files: testFiles });
const counts = { train: 3, val: 1, test: 3, unseen: 1, photographs: 0 };
const none = { train: 0, val: 0, test: 0, unseen: 0, photographs: 0 };
const spec = (task: Task, index: number, more: Partial<PhotoClipSpec> = {}): PhotoClipSpec => {
  return { task, split: "train", side: "train", index, seed: 5, imageSize: 64, ...more };
};

for (const task of ["s4", "ms3", "avss"] satisfies Task[]) {
  test(`${task}: what is written reads back as it was rendered`, async (t) => {
    const root = await tempDir(t);
    const [main, unseen] = await writePhotoSounds({ task, root, studio, counts, imageSize: 64, seed: 5 });
    assert.equal(main?.clips, 7);
    assert.equal(unseen?.folder.startsWith(path.join(root, "unseen")), true);
    const side = { train: "train", val: "train", test: "test" } as const;
    for (const split of ["train", "val", "test"] as const) {
      const dataset = await openDataset({ task, root, split, imageSize: 64 });
      assert.equal(dataset.entries.length, counts[split]);
      const clip = await dataset.load(0);
      const made = await studio.render(spec(task, 0, { split, side: side[split] }));
      assert.deepEqual(clip.masks.data, made.masks.data.slice(0, clip.masks.data.length));
    }
    const other = await openDataset({ task, root: path.join(root, "unseen"), split: "test", imageSize: 64 });
    assert.equal(other.entries.length, 1);
  });
}

test("validation clips are made of the sources of training", () => {
  assert.deepEqual(sidesOf({ ...none, val: 1, test: 2 }), ["train", "test"]);
  assert.deepEqual(sidesOf({ ...none, unseen: 3 }), ["unseen"]);
});

test("the same options give the same clips, and other seeds give others", async () => {
  const [a, b] = [await studio.render(spec("ms3", 1)), await studio.render(spec("ms3", 1))];
  const c = await studio.render(spec("ms3", 1, { seed: 6 }));
  assert.deepEqual(a.frames.data, b.frames.data);
  assert.deepEqual(a.samples, b.samples);
  assert.notDeepEqual(a.frames.data, c.frames.data);
});

test("classes take turns, and an S4 clip sounds in every second", async () => {
  const clips = await Promise.all([0, 1, 2].map((index) => studio.render(spec("s4", index))));
  const sounding = clips.map(({ plan }) => plan.objects[0]?.picture.class);
  assert.deepEqual(sounding.sort(), ["bell", "bird", "drum"]);
  for (const { plan, samples, masks, objects } of clips) {
    assert.equal(new Set(plan.objects.map(({ picture }) => picture.class)).size, plan.objects.length);
    for (let second = 0; second < 5; second++) {
      const part = samples.subarray(second * sampleRateHz, (second + 1) * sampleRateHz);
      const rms = Math.sqrt(part.reduce((sum, x) => sum + x * x, 0) / part.length);
      assert.ok(rms > 0.002, `second ${second}: ${rms}`);
    }
    masks.data.forEach((value, i) => {
      assert.equal(value, objects.data[i] === 1 ? 1 : 0);
    });
  }
});

test("in some training clips an object fills the frame, behind the others; in test clips none does", async () => {
  const specs = Array.from({ length: 200 }, (_, index) => spec("s4", index));
  const nearOf = (given: PhotoClipSpec) => planPhotoClip(given, testCatalog).near;
  const near = specs.filter((given) => nearOf(given) !== undefined);
  assert.ok(near.length > 20 && near.length < 60, `${near.length}`);
  for (const given of specs) assert.equal(nearOf({ ...given, split: "test", side: "test" }), undefined);

  // Shares of the first frame's width that show the object.
  const widths = await Promise.all(
    near.slice(0, 8).map(async (given) => {
      const { plan, objects } = await studio.render(given);
      const columns = new Set<number>();
      objects.data.subarray(0, 64 * 64).forEach((value, i) => {
        if (value === (plan.near ?? 0) + 1) columns.add(i % 64);
      });
      return columns.size / 64;
    }),
  );
  assert.ok(Math.max(...widths) > 0.6, `${widths}`);
});

test("test clips hold sources of the test side only, and every source is listed", async (t) => {
  const root = await tempDir(t);
  const [main] = await writePhotoSounds({ task: "s4", root, studio, counts, imageSize: 32 });
  const folder = main?.folder ?? "";
  const lines = (await readFile(path.join(folder, "clips.jsonl"), "utf8")).trim().split("\n");
  assert.equal(lines.length, 7);
  for (const line of lines) {
    const side = line.includes('"split":"test"') ? "test" : "train";
    const used = [...line.matchAll(/tuxpaint\/(\w+)\//g)].map((match) => match[1]);
    assert.deepEqual([...new Set(used)], [side], line);
  }
  const text = await readFile(path.join(folder, "sources.csv"), "utf8");
  const table = parseTable(text, { source: "sources.csv", required: ["source", "license", "credit"] });
  const listed = new Set(table.rows.map(({ values }) => values.source));
  for (const [id] of lines.join().matchAll(/tuxpaint\/[\w/.]+/g)) assert.ok(listed.has(id), id);
  const objects = await readRgb(path.join(folder, "objects/photos_test_00000/1.png"));
  assert.ok(objects.data.includes(1));
});

test("an interrupted run continues, and other options replace it", async (t) => {
  const root = await tempDir(t);
  const stop = new AbortController();
  const options = { task: "s4", root, studio, counts: { ...counts, unseen: 0 }, imageSize: 32 } as const;
  const interrupted = writePhotoSounds({
    ...options,
    signal: stop.signal,
    onProgress: ({ done }) => done === 2 && stop.abort(new Error("stop")),
  });
  await assert.rejects(interrupted, /stop/);
  const [continued] = await writePhotoSounds(options);
  assert.ok((continued?.kept ?? 0) >= 2 && (continued?.kept ?? 9) < 7, `${continued?.kept}`);
  const [again] = await writePhotoSounds(options);
  assert.equal(again?.kept, 7);
  const [replaced] = await writePhotoSounds({ ...options, seed: 9 });
  assert.equal(replaced?.kept, 0);
});

test("test clips are written as videos, too", async (t) => {
  const root = await tempDir(t);
  const [main] = await writePhotoSounds({
    task: "s4",
    root,
    studio,
    counts: { ...none, test: 1 },
    imageSize: 32,
    clipsAsVideo: 1,
  });
  const info = await probeVideo(main?.videos[0] ?? "");
  assert.ok(info.audioTrack);
  assert.ok(Math.abs((info.durationSeconds ?? 0) - 5) < 0.2);
});

test("photographs stay as they are, with a recording of what they show", async (t) => {
  const middle = [1024, 1024, 3072, 1024, 3072, 3072, 1024, 3072];
  const outlines = { "test/bell.png": [middle], "train/drum.png": [middle] };
  const sources = { catalog: testCatalog, files: testFiles, outlines };
  const photographs = await PhotoStudio.open(sources);
  const root = await tempDir(t);
  const counts = { ...none, photographs: 2 };
  const written = await writePhotoSounds({ task: "s4", root, studio: photographs, counts, imageSize: 64 });
  const folder = path.join(root, "photographs", "Single-source");
  assert.deepEqual(written, [{ folder, clips: 2, kept: 0, videos: [] }]);
  const dataset = await openDataset({
    task: "s4",
    root: path.join(root, "photographs"),
    split: "test",
    imageSize: 64,
    waves: true,
  });
  const clip = await dataset.load(1);
  assert.equal(clip.category, "bell"); // only test/bell.png has an outline and is of that side
  const file = await testFiles.read("tuxpaint", "test/bell.png");
  assert.ok(typeof file === "object");
  const picture = await sharp(file.bytes).removeAlpha().resize(64, 64, { fit: "fill" }).raw().toBuffer();
  for (let step = 0; step < 5; step++) {
    const [frame, mask] = [clip.frames, clip.masks].map(({ data }) =>
      data.subarray((step * data.length) / 5, ((step + 1) * data.length) / 5),
    );
    assert.deepEqual(Buffer.from(frame ?? []), picture);
    mask?.forEach((value, i) => {
      const [x, y] = [i % 64, Math.floor(i / 64)];
      const edge = [x, y].some((at) => [15, 16, 47, 48].includes(at));
      if (!edge) assert.equal(value, x > 16 && x < 47 && y > 16 && y < 47 ? 1 : 0, `${x}, ${y}`);
    });
    const second = clip.sound?.data.subarray(16_000 * step, 16_000 * (step + 1)) ?? [];
    assert.ok(second.some((x) => Math.abs(x) > 0.01));
  }
  assert.match(await readFile(path.join(folder, "sources.csv"), "utf8"), /picture,bell,test,[^\n]*,2\n/);
});

test("recordings lose silent ends and have a common level", () => {
  const samples = Float32Array.from({ length: 30_000 }, (_, i) =>
    i > 10_000 && i < 20_000 ? 0.01 * Math.sin(i / 5) : 0,
  );
  const cut = normalized(samples);
  assert.ok(cut.length > 9_000 && cut.length < 13_000, `${cut.length}`);
  const rms = Math.sqrt(cut.reduce((sum, x) => sum + x * x, 0) / 10_000);
  assert.ok(Math.abs(rms - 0.1) < 0.01, `${rms}`);
});
