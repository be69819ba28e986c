import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { referencePath } from "../../../test/reference.js";
import { logMelOf } from "../../../test/support.js";
import { tempDir } from "../../../test/temp-dir.js";
import { DatasetError } from "../../errors.js";
import { encodePng } from "../../media/node/image-file.js";
import { encodeWav } from "../../media/wav.js";
import type { Task } from "../clip.js";
import { writeSoundShapes } from "../sound-shapes/write.js";
import { readClasses } from "./load-clip.js";
import { openDataset } from "./open-dataset.js";

const root = referencePath("minibench");

/** An MS3 dataset of three clips that a test may spoil; the path of its folder. */
async function made(t: { after(work: () => Promise<void>): void }): Promise<string> {
  const dir = await tempDir(t);
  const counts = { train: 1, val: 1, test: 1 };
  return (await writeSoundShapes({ task: "ms3", root: dir, counts, imageSize: 32 })).folder;
}

/** Matches a one-line `DatasetError` with a hint, whose message contains all `parts`. */
function datasetError(...parts: string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DatasetError, String(error));
    assert.ok(!error.message.includes("\n"));
    assert.ok(error.hint, "no hint");
    for (const part of parts) {
      assert.ok(error.message.includes(part), `"${error.message}" lacks "${part}"`);
    }
    return true;
  };
}

test("S4: five frames, the mask of the first in training and of all in testing", async () => {
  const train = await openDataset({ task: "s4", root, split: "train", imageSize: 224 });
  const clip = await train.load(0);
  assert.equal(clip.id, "aaa_0_5000");
  assert.equal(clip.category, "dog_barking");
  assert.deepEqual(clip.frames.shape, [5, 224, 224, 3]);
  assert.deepEqual(logMelOf(clip).shape, [5, 1, 96, 64]);
  assert.deepEqual(clip.labeled, [0]);
  assert.deepEqual([...new Set(clip.masks.data)].sort(), [0, 1]);
  const own = path.join(root, "Single-source");
  const large = await openDataset({ task: "s4", root: own, split: "test", imageSize: 64, maskSize: 32 });
  const enlarged = await large.load(0);
  assert.deepEqual(
    [enlarged.frames.shape, enlarged.masks.shape],
    [
      [5, 64, 64, 3],
      [5, 32, 32],
    ],
  );
  const small = await openDataset({ task: "s4", root: own, split: "test", imageSize: 96 });
  const tested = await small.load(0);
  assert.deepEqual(tested.masks.shape, [5, 96, 96]);
  assert.equal(small.entries.length, 5);
});

test("S4: the pickle is preferred, and the WAV file gives the same log-mels", async () => {
  const pickled = await openDataset({ task: "s4", root, split: "val", imageSize: 32 });
  const heard = await openDataset({ task: "s4", root, split: "val", imageSize: 32, audio: "wav" });
  const [a, b] = [logMelOf(await pickled.load(0)).data, logMelOf(await heard.load(0)).data];
  a.forEach((x, i) => {
    assert.ok(Math.abs(x - (b[i] as number)) < 1e-3, `element ${i}: ${x} and ${b[i]}`);
  });
});

test("MS3: masks of all five frames in every split", async () => {
  const train = await openDataset({ task: "ms3", root, split: "train", imageSize: 64 });
  assert.deepEqual((await train.load(0)).labeled, [0, 1, 2, 3, 4]);
  assert.equal((await train.load(0)).category, "");
});

test("AVSS: padded to ten, classes from the colors, crop in training", async () => {
  const train = await openDataset({ task: "avss", root, split: "train", imageSize: 224 });
  assert.equal(train.classes.length, 71);
  assert.equal(train.classes[0], "background");
  const single = await train.load(0);
  assert.deepEqual(single.labeled, [0]);
  assert.deepEqual([...single.frameMask.data], [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
  assert.ok(
    logMelOf(single)
      .data.subarray(5 * 6144)
      .every((x) => x === 0),
  );
  assert.deepEqual((await train.load(1)).labeled, [0, 1, 2, 3, 4]);
  const val = await openDataset({ task: "avss", root, split: "val", imageSize: 224 });
  const long = await val.load(0);
  assert.deepEqual(long.masks.shape, [10, 224, 224]);
  assert.ok(long.masks.data.some((k) => k > 0) && long.masks.data.every((k) => k < 71));
  assert.ok(long.frameMask.data.every((k) => k === 1));
});

test("folders without a dataset and invalid tables are refused", async (t) => {
  const folder = await made(t);
  const open = (root: string, task: Task = "ms3") => openDataset({ task, root, split: "val", imageSize: 8 });
  await assert.rejects(open("/nowhere"), datasetError("/nowhere", "no such folder"));
  await assert.rejects(open(folder, "s4"), datasetError("s4_meta_data.csv"));
  const table = (rows: string) => writeFile(path.join(folder, "ms3_meta_data.csv"), `name,split\n${rows}\n`);
  await table("shapes_train_00000,train");
  await assert.rejects(open(folder), datasetError('split "val"'));
  await table("shapes_train_00000,training");
  await assert.rejects(open(folder), datasetError("line 2", '"training"', "train, val or test"));
  await table("../shapes_val_00000,val");
  await assert.rejects(open(folder), datasetError("line 2", "../shapes_val_00000"));
});

test("a clip that the table repeats is used once, with a warning that names the lines", async (t) => {
  const folder = await made(t);
  const [first, again] = ["shapes_test_00000,test", "shapes_val_00000,val"];
  await writeFile(
    path.join(folder, "ms3_meta_data.csv"),
    `name,split\n${[first, again, first, again, first].join("\n")}\n`,
  );
  const warnings: string[] = [];
  const onWarning = (message: string) => void warnings.push(message);
  const options = { task: "ms3", root: folder, split: "test", imageSize: 8 } as const;
  const { entries } = await openDataset({ ...options, onWarning });
  assert.deepEqual(entries, [{ id: "shapes_test_00000", category: "", sounds: [] }]);
  assert.deepEqual(warnings, [
    `${path.join(folder, "ms3_meta_data.csv")}: line 4 repeats clip shapes_test_00000 of line 2; ` +
      "line 6 repeats clip shapes_test_00000 of line 2; each clip is used once",
  ]);
});

test("MS3: what sounds comes from the column a_obj, or from AVSS's table beside it", async (t) => {
  const folder = await made(t);
  const open = () => openDataset({ task: "ms3", root: folder, split: "test", imageSize: 8 });
  const own = (await open()).entries.map(({ sounds = [] }) => sounds);
  assert.ok(
    own.every((names) => names.length > 0 && names.every((name) => /^[a-z]+$/.test(name))),
    "SoundShapes",
  );
  await writeFile(path.join(folder, "ms3_meta_data.csv"), "name,split\nshapes_test_00000,test\n");
  assert.deepEqual((await open()).entries[0]?.sounds, []);
  const beside = path.join(folder, "..", "AVSS");
  await mkdir(beside);
  const rows = ["shapes_test_00000,u0,cat,test,v2", "shapes_test_00000,u1,dog_man,test,v1m"];
  await writeFile(path.join(beside, "metadata.csv"), `vid,uid,a_obj,split,label\n${rows.join("\n")}\n`);
  assert.deepEqual((await open()).entries[0]?.sounds, ["dog", "man"]);
});

test("a row without its frames is found on opening, with the line of the table", async (t) => {
  const folder = await made(t);
  await rm(path.join(folder, "ms3_data/visual_frames/shapes_test_00000/shapes_test_00000.mp4_3.png"));
  const opened = openDataset({ task: "ms3", root: folder, split: "test", imageSize: 8 });
  await assert.rejects(opened, datasetError("line 4", "shapes_test_00000.mp4_3.png"));
});

test("errors of damaged files name the clip, the file and the fault", async (t) => {
  const folder = await made(t);
  const id = "shapes_val_00000";
  const dataset = await openDataset({ task: "ms3", root: folder, split: "val", imageSize: 8 });
  const spoil = async (file: string, bytes: Uint8Array, ...parts: string[]) => {
    const full = path.join(folder, "ms3_data", file);
    const original = await readFile(full).catch(() => undefined);
    await mkdir(path.dirname(full), { recursive: true });
    await writeFile(full, bytes);
    await assert.rejects(dataset.load(0), datasetError(`${id}, line 3`, path.basename(file), ...parts));
    await (original ? writeFile(full, original) : rm(full));
  };
  const mask = `gt_masks/val/${id}/${id}_2.png`;
  const gray = (side: number, value: number) =>
    encodePng({ dtype: "u8", shape: [side, side], data: new Uint8Array(side * side).fill(value) });
  await spoil(mask, await gray(30, 255), "30x30", "32x32");
  await spoil(mask, await gray(32, 1), "0 and 255", "up to 1");
  await spoil(mask, new Uint8Array(0), "empty");
  const frame = `visual_frames/${id}/${id}.mp4_4.png`;
  const whole = await readFile(path.join(folder, "ms3_data", frame));
  await spoil(frame, whole.subarray(0, whole.length / 2), "decode");
  const silent = encodeWav({ sampleRateHz: 16000, channels: [new Float32Array(0)] });
  await spoil(`audio_wav/val/${id}.wav`, silent, "zero samples");
  // A pickle that would run a command if it were trusted.
  const foreign = "cos\nsystem\nq\x00X\x02\x00\x00\x00lsq\x01\x85q\x02Rq\x03.";
  await spoil(`audio_log_mel/val/${id}.pkl`, Buffer.from(`\x80\x02${foreign}`, "latin1"), "os.system");
  assert.equal((await dataset.load(0)).id, id);
});

test("colors of no class: a few count as background, many are an error", async (t) => {
  const dir = await tempDir(t);
  const file = path.join(dir, "label.png");
  const label = async (foreign: number) => {
    const data = new Uint8Array(3 * 100).fill(0);
    for (let i = 0; i < 100; i++) data.set(i < foreign ? [1, 2, 3] : [0, 128, 0], 3 * i);
    await writeFile(file, await encodePng({ dtype: "u8", shape: [10, 10, 3], data }));
    return readClasses(file, 9);
  };
  assert.deepEqual([...(await label(4)).data], [...new Array(4).fill(0), ...new Array(96).fill(2)]);
  await assert.rejects(label(6), datasetError("label.png", "6 of 100", "9 classes", "(1, 2, 3)"));
});
