/** The files that the studio exports, compared with those of Node and of ffmpeg. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after, before } from "node:test";
import { unzipSync } from "fflate";
import { z } from "zod";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { openModel } from "../src/index.js";
import { readRgb as readImage } from "../src/media/node/image-file.js";
import { probeVideo } from "../src/media/node/probe-video.js";
import { readFrames } from "../src/media/node/read-video.js";
import { DEMO_MODEL } from "../src/segment/node/shipped-models.js";
import { writeSegmentation } from "../src/segment/node/write-segmentation.js";
import { differing } from "./browser-clip.js";
import { foundLabels, type OpenStudio, openStudio, segmented, skipStudio } from "./studio.js";
import { tempDir } from "./temp-dir.js";
import { seededWeights, tinyAvss } from "./tiny-models.js";
import { torchFile } from "./torch-file.js";

const skip = skipStudio;
const dir = await tempDir({ after });
const clip = path.join(dir, "shapes.mp4");
let studio: OpenStudio;

before(async () => {
  if (skip) return;
  await writeClipVideo({ task: "ms3", split: "test", index: 0, seed: 1, imageSize: 160 }, clip);
  studio = await openStudio({}, { query: "empty" });
  await studio.page.locator(".library input[type=file]").setInputFiles(clip);
  await studio.page.getByRole("button", { name: "Find what sounds" }).click();
  await segmented(studio.page);
  await studio.page.getByRole("tab", { name: "Export" }).click();
});
after(() => studio?.close());

/** What is read of `segments.json`, and of COCO's file. */
const document = z.object({
  frames: z.array(z.unknown()),
  model: z.object({ description: z.string().nullable(), classes: z.array(z.string()) }),
});
const coco = z.object({
  categories: z.array(z.unknown()),
  images: z.array(z.unknown()),
  annotations: z.array(z.object({ id: z.number(), image_id: z.number(), area: z.number() })),
});

/** Saves what a button of the export panel makes. */
async function exported(name: string): Promise<string> {
  const { page } = studio;
  const [download] = await Promise.all([
    page.waitForEvent("download", { timeout: 90_000 }),
    page.getByRole("button", { name }).click(),
  ]);
  const file = path.join(dir, download.suggestedFilename());
  await download.saveAs(file);
  return file;
}

test("the exported video has the sound, the length and the masks where they are", { skip }, async () => {
  const file = await exported("Video as shown");
  const [source, made] = await Promise.all([probeVideo(clip), probeVideo(file)]);
  assert.ok(made.audioTrack, "no sound");
  assert.ok(Math.abs((made.durationSeconds ?? 0) - (source.durationSeconds ?? 0)) < 0.15);
  assert.deepEqual([made.width, made.height], [source.width, source.height]);
  const masks = await foundLabels(studio.page);
  const [before, after] = [await collect(readFrames(source)), await collect(readFrames(made))];
  assert.equal(after.length, before.length);
  let [inside, outside, insideCount] = [0, 0, 0];
  for (const [i, mask] of masks.entries()) {
    for (const [k, label] of mask.entries()) {
      const change = Math.abs((after[i]?.rgb[3 * k] ?? 0) - (before[i]?.rgb[3 * k] ?? 0));
      if (label > 0) inside += change;
      else outside += change;
      insideCount += Number(label > 0);
    }
  }
  inside /= insideCount;
  outside /= masks.length * (masks[0]?.length ?? 0) - insideCount;
  assert.ok(inside > 25 && outside < 6, `red changed by ${inside} inside and by ${outside} outside of masks`);
});

test("exported masks and segments.json are those of `avseg segment`", { skip }, async () => {
  const file = await exported("Masks and segments.json");
  const files = unzipSync(readFileSync(file));
  const model = await openModel({ checkpoint: DEMO_MODEL.file });
  const outDir = path.join(dir, "segmented");
  await writeSegmentation(clip, model, { outDir, overlay: false });
  await model.close();
  const [own, expected] = [
    Buffer.from(files["segments.json"] ?? []).toString("utf8"),
    readFileSync(path.join(outDir, "segments.json"), "utf8"),
  ].map((text) => document.parse(JSON.parse(text)));
  assert.equal(own?.frames.length, expected?.frames.length);
  assert.deepEqual(own?.model.classes, expected?.model.classes);
  let [different, count] = [0, 0];
  for (const name of readdirSync(path.join(outDir, "masks"))) {
    const png = files[`masks/${name}`];
    assert.ok(png, name);
    await writeFile(path.join(dir, "one.png"), png);
    const [a, b] = [
      await readImage(path.join(dir, "one.png")),
      await readImage(path.join(outDir, "masks", name)),
    ];
    assert.deepEqual(a.shape, b.shape);
    different += differing(a.data, b.data) * a.data.length;
    count += a.data.length;
  }
  assert.ok(count > 0 && different / count < 0.005, `${different} of ${count} values differ`);
});

test("a cut-out is transparent outside of the masks, as a video and as pictures", { skip }, async () => {
  const cutout = await exported("Cut-out with alpha");
  assert.ok(readFileSync(cutout).includes(Buffer.from([0x53, 0xc0, 0x81, 0x01])), "no AlphaMode in the WebM");
  const masks = await foundLabels(studio.page);
  const pictures = unzipSync(readFileSync(await exported("Cut-out as pictures")));
  const times = z
    .array(z.number())
    .parse(JSON.parse(Buffer.from(pictures["frames/times.json"] ?? []).toString()));
  // The frame that the model saw in the first second.
  const at = times.findLastIndex((time) => time <= 15 / 16);
  const png = pictures[`frames/${String(at).padStart(6, "0")}.png`];
  assert.ok(png);
  const files = { picture: path.join(dir, "frame.png"), video: cutout };
  await writeFile(files.picture, png);
  for (const [what, input] of [
    ["picture", ["-i", files.picture]],
    ["video", ["-c:v", "libvpx-vp9", "-i", files.video, "-vf", `select=eq(n\\,${at})`]],
  ] as const) {
    const rgba = execFileSync("ffmpeg", [
      ...["-v", "error", ...input, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgba", "pipe:1"],
    ]);
    const labels = masks[0] ?? [];
    assert.equal(rgba.length, 4 * labels.length);
    const wrong = labels.filter((label, i) => label > 0 !== (rgba[4 * i + 3] ?? 0) > 127).length;
    assert.ok(wrong < 0.03 * labels.length, `${what}: the alpha of ${wrong} pixels differs`);
  }
});

test("run lengths are those of `avseg segment --format rle`", { skip }, async () => {
  const own = coco.parse(JSON.parse(readFileSync(await exported("COCO run lengths"), "utf8")));
  const model = await openModel({ checkpoint: DEMO_MODEL.file });
  const outDir = path.join(dir, "rle");
  await writeSegmentation(clip, model, { outDir, overlay: false, format: "rle" });
  await model.close();
  const expected = coco.parse(JSON.parse(readFileSync(path.join(outDir, "masks.json"), "utf8")));
  assert.deepEqual([own.categories, own.images], [expected.categories, expected.images]);
  assert.ok(own.annotations.length > 0);
  const [ids, expectedIds] = [own, expected].map(({ annotations }) =>
    annotations.map(({ id, image_id }) => [id, image_id]),
  );
  assert.deepEqual(ids, expectedIds);
  for (const [i, { area }] of own.annotations.entries()) {
    // The tab's arithmetic differs by less than 0.5% of a picture's pixels.
    assert.ok(Math.abs(area - (expected.annotations[i]?.area ?? 0)) < 0.005 * 160 * 160);
  }
});

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}
test("the classes of a file are those of the model that made its masks", { skip }, async () => {
  const { page } = studio;
  const file = path.join(dir, "classes.pth");
  await writeFile(file, torchFile(seededWeights(tinyAvss)));
  await page.locator(".badge").click();
  await page.getByRole("dialog").locator("input[type=file]").setInputFiles(file);
  await page.getByText(/classes\.pth is open: AVSS/).waitFor({ timeout: 60_000 });
  await page.keyboard.press("Escape");
  const { categories } = coco.parse(JSON.parse(readFileSync(await exported("COCO run lengths"), "utf8")));
  assert.deepEqual(categories, [{ id: 1, name: "sounding" }]);
  const files = unzipSync(readFileSync(await exported("Masks and segments.json")));
  const text = Buffer.from(files["segments.json"] ?? []).toString("utf8");
  const { model } = document.parse(JSON.parse(text));
  assert.deepEqual(model, { description: "Small model (SoundShapes)", classes: ["background", "sounding"] });
});
