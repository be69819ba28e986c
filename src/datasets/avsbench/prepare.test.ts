import assert from "node:assert/strict";
import { readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { tempDir } from "../../../test/temp-dir.js";
import { DatasetError, LockedError } from "../../errors.js";
import { encodePng, readRgb } from "../../media/node/image-file.js";
import { encodeWav } from "../../media/wav.js";
import { renderClip } from "../sound-shapes/render-clip.js";
import { writeClipVideo } from "../sound-shapes/video.js";
import { writeSoundShapes } from "../sound-shapes/write.js";
import { checkDataset } from "./check.js";
import { prepareDataset } from "./prepare.js";

const spec = { task: "s4", split: "val", seed: 4, imageSize: 64 } as const;

test("videos become clips in the published layout; bad ones are reported and omitted", async (t) => {
  const dir = await tempDir(t);
  const videos = path.join(dir, "raw");
  await writeClipVideo({ ...spec, index: 0 }, path.join(videos, "val/disc/one.mp4"));
  await writeClipVideo({ ...spec, index: 1 }, path.join(videos, "other/two.mp4"));
  await writeFile(path.join(videos, "broken.mp4"), "this is no video");
  const table = path.join(dir, "table.csv");
  const rows = ["one,0,disc,val", "two,0,star,test", "broken,0,star,test", "absent,0,star,test"];
  await writeFile(table, `name,start,category,split\n${rows.join("\n")}\n`);
  const options = { task: "s4", videos, table, root: path.join(dir, "out"), imageSize: 64 } as const;
  const second: Promise<void>[] = [];
  const onProgress = () => {
    if (second.length === 0) second.push(assert.rejects(prepareDataset(options), LockedError));
  };
  const first = await prepareDataset({ ...options, onProgress });
  await Promise.all(second);
  assert.deepEqual([first.prepared, first.present], [2, 0]);
  assert.deepEqual(
    first.missingMasks.map((file) => path.relative(first.folder, file).replaceAll(path.sep, "/")),
    ["s4_data/gt_masks/test/star/two/two_1.png", "s4_data/gt_masks/val/disc/one/one_1.png"],
  );
  assert.deepEqual(first.failures.map(({ id }) => id).sort(), ["absent", "broken"]);
  const written = await readFile(path.join(first.folder, "s4_meta_data.csv"), "utf8");
  assert.equal(written, `name,start,category,split\n${rows.slice(0, 2).join("\n")}\n`);
  const frame = path.join(first.folder, "s4_data/visual_frames/val/disc/one/one_3.png");
  const made = renderClip({ ...spec, index: 0 }).frames.data.subarray(2 * 64 * 64 * 3);
  const pixels = (await readRgb(frame)).data;
  const difference = pixels.reduce((sum, v, i) => sum + Math.abs(v - (made[i] as number)), 0) / pixels.length;
  assert.ok(difference < 12, `the third frame differs by ${difference} gray levels`);
  const { mtimeMs } = await stat(frame);
  const again = await prepareDataset(options);
  assert.deepEqual([again.prepared, again.present], [0, 2]);
  assert.equal((await stat(frame)).mtimeMs, mtimeMs);
  // Nothing is wrong with what was written, but that masks are still to come.
  const { issues, clips } = await checkDataset({ task: "s4", root: first.folder });
  assert.deepEqual(clips, { train: 0, val: 1, test: 1 });
  assert.equal(issues.length, 10);
  assert.ok(issues.every(({ kind, message }) => kind === "missing" && message.includes("gt_masks")));
});

test("missing folders and tables are refused", async (t) => {
  const dir = await tempDir(t);
  const options = { task: "s4", videos: dir, table: path.join(dir, "none.csv"), root: dir } as const;
  await assert.rejects(prepareDataset(options), DatasetError);
  await writeFile(options.table, "name,category,split\na,dog,test\n");
  await assert.rejects(
    prepareDataset({ ...options, table: "/dev/zero" }),
    /^DatasetError: cannot read .*: it is a folder or a device/,
  );
  await assert.rejects(prepareDataset({ ...options, videos: path.join(dir, "none") }), DatasetError);
});

test("checking valid data finds nothing", async (t) => {
  const root = await tempDir(t);
  for (const task of ["s4", "ms3", "avss"] as const) {
    await writeSoundShapes({ task, root, counts: { train: 2, val: 1, test: 4 }, imageSize: 32 });
    const { issues, clips } = await checkDataset({ task, root });
    assert.deepEqual(issues, []);
    assert.deepEqual(clips, { train: 2, val: 1, test: 4 });
  }
});

test("the check lists every fault, each by its kind", async (t) => {
  const root = await tempDir(t);
  const counts = { train: 2, val: 1, test: 2 };
  const { folder } = await writeSoundShapes({ task: "ms3", root, counts, imageSize: 32 });
  const at = (...parts: string[]): string => path.join(folder, "ms3_data", ...parts);
  const gray = (side: number, value: number) =>
    encodePng({ dtype: "u8", shape: [side, side], data: new Uint8Array(side * side).fill(value) });
  const [train, val, tested] = ["shapes_train_00000", "shapes_val_00000", "shapes_test_00001"];
  await writeFile(at("gt_masks/train", train, `${train}_1.png`), await gray(32, 7));
  await writeFile(at("gt_masks/train", train, `${train}_2.png`), await gray(31, 255));
  await writeFile(at("gt_masks/train", train, `${train}_3.png`), "no image");
  await rm(at("visual_frames", train, `${train}.mp4_5.png`));
  const short = encodeWav({ sampleRateHz: 16000, channels: [new Float32Array(30000).fill(0.1)] });
  await writeFile(at("audio_wav/train", `${train}.wav`), short);
  await writeFile(at("audio_wav/test", `${tested}.wav`), await readFile(at("audio_wav/val", `${val}.wav`)));
  const table = path.join(folder, "ms3_meta_data.csv");
  const text = await readFile(table, "utf8");
  const wrong = ["x,none,", "x,train,,more", 'x"y",train,', ",train,", '"x,train,'];
  await writeFile(table, `${text}${[`${train},train,`, `${val},test,`, ...wrong].join("\n")}\n`);
  const { issues } = await checkDataset({ task: "ms3", root });
  const found = (kind: string, clip: string) =>
    issues.filter((issue) => issue.kind === kind && issue.clip === clip).length;
  assert.equal(found("table", ""), wrong.length);
  assert.equal(found("duplicate", train), 1);
  assert.equal(found("overlap", val), 1);
  assert.equal(found("overlap", tested), 1);
  // A pipe or a device would never end.
  await rm(at("audio_wav/val", `${val}.wav`));
  await symlink("/dev/zero", at("audio_wav/val", `${val}.wav`));
  const again = await checkDataset({ task: "ms3", root });
  assert.ok(again.issues.some((issue) => issue.kind === "missing" && issue.clip === val));
  await writeFile(table, "name,split\n");
  await assert.rejects(checkDataset({ task: "ms3", root }), /expected a row per clip, found none/);
  // The duplicated row is checked twice.
  for (const kind of ["mask-values", "size", "unreadable", "missing", "audio"]) {
    assert.equal(found(kind, train), 2, kind);
  }
});

test("the check of label images uses the class names", async (t) => {
  const root = await tempDir(t);
  const { folder } = await writeSoundShapes({
    task: "avss",
    root,
    counts: { train: 1, val: 0, test: 0 },
    imageSize: 32,
  });
  const foreign = new Uint8Array(32 * 32 * 3).fill(1);
  const label = path.join(folder, "v1s/shapes_train_00000/labels_rgb/0.png");
  await writeFile(label, await encodePng({ dtype: "u8", shape: [32, 32, 3], data: foreign }));
  const { issues } = await checkDataset({ task: "avss", root });
  assert.deepEqual(
    issues.map(({ kind, clip }) => [kind, clip]),
    [["mask-values", "shapes_train_00000"]],
  );
  assert.ok(issues[0]?.message.includes("1024 pixels") && issues[0].message.includes("(1, 1, 1)"));
  await writeFile(path.join(folder, "label2idx.json"), '{"background": 0, "disc": 2}');
  const gap = await checkDataset({ task: "avss", root });
  assert.ok(gap.issues.some(({ kind, message }) => kind === "table" && message.includes("label2idx.json")));
});
