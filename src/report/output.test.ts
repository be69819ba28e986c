import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { tempDir } from "../../test/temp-dir.js";
import type { AvsDataset, Clip } from "../datasets/clip.js";
import { ClipLoader } from "../datasets/loader.js";
import { evaluateClips } from "../evaluation/evaluate-clips.js";
import { maskWriter } from "../evaluation/mask-writer.js";
import { evaluateResumable, fingerprintOf } from "../evaluation/resume.js";
import type { Predictor } from "../inference/predictor.js";
import { readGray, readRgb } from "../media/node/image-file.js";
import { colorOfClass } from "../media/palette.js";
import { Random } from "../random.js";
import { f32 } from "../tensor.js";
import { writeResult } from "./write-result.js";

const side = 8;

function makeClip(index: number, id = `clip-${index}`): Clip {
  const random = new Random(index, 5);
  const masks = Uint8Array.from({ length: side * side * 2 }, () => random.integer(2));
  return {
    id,
    category: index % 2 === 0 ? 'say "hi", dog' : "cat",
    frames: { dtype: "u8", shape: [2, side, side, 3], data: new Uint8Array(side * side * 6).fill(index) },
    logMel: f32(new Float32Array(2 * 96 * 64), [2, 1, 96, 64]),
    masks: { dtype: "u8", shape: [2, side, side], data: masks },
    labeled: [0, 1],
    frameMask: f32([1, 1], [2]),
  };
}

const clips = Array.from({ length: 9 }, (_, i) => makeClip(i));

const dataset: AvsDataset = {
  task: "s4",
  split: "test",
  classes: ["background", "sounding"],
  frameCount: 2,
  entries: clips,
  load: async (i) => clips[i] as Clip,
};

const predictor: Predictor = {
  frameCount: 2,
  imageSize: side,
  maskSize: side,
  classes: ["sounding"],
  clipsPerRun: 1,
  predict: async ({ frames }) => {
    const [steps = 0] = frames.shape;
    const random = new Random(frames.data[0] ?? 0, 9);
    const data = Float32Array.from({ length: steps * side * side }, () => random.normal());
    return f32(data, [steps, 1, side, side]);
  },
  close: async () => {},
};

/** The clips from index `first` on, in batches. */
function clipsFrom(first: number, batchSize = 2): AsyncIterable<readonly Clip[]> {
  return new ClipLoader(dataset, { workers: 0 }).batches({ batchSize, startBatch: first / batchSize });
}

test("tables are written with quoted names, and the JSON explains its metrics", async (t) => {
  const dir = await tempDir(t);
  const result = await evaluateClips({
    predictor,
    task: "s4",
    clips: clipsFrom(0),
    total: 9,
    batchSize: 4,
  });
  const files = await writeResult(dir, result, { context: { checkpoint: "c.safetensors" } });
  assert.deepEqual(
    files.map((file) => path.basename(file)),
    ["metrics.csv", "per-category.csv", "per-clip.csv", "evaluation.json"],
  );
  const categories = await readFile(path.join(dir, "per-category.csv"), "utf8");
  assert.match(
    categories,
    /^category,clips,frames,miou,fscore\ncat,4,8,0\.\d+,0\.\d+\n"say ""hi"", dog",5,10,/,
  );
  const perClip = (await readFile(path.join(dir, "per-clip.csv"), "utf8")).trimEnd().split("\n");
  assert.equal(perClip.length, 10);
  const json: unknown = JSON.parse(await readFile(path.join(dir, "evaluation.json"), "utf8"));
  assert.ok(typeof json === "object" && json !== null && "notes" in json && "context" in json);
  assert.deepEqual(json.context, { checkpoint: "c.safetensors" });
  assert.ok(typeof json.notes === "object" && json.notes !== null && "miouPublishedPerBatch" in json.notes);
});

test("binary masks are PNG files of 0 and 255, named from frame 0", async (t) => {
  const dir = await tempDir(t);
  const clip = clips[1] as Clip;
  await maskWriter(dir, "s4")(clip, { dtype: "u8", shape: [2, side, side], data: clip.masks.data });
  const folder = path.join(dir, "pred_masks", "cat", "clip-1");
  assert.deepEqual((await readdir(folder)).sort(), ["clip-1_0.png", "clip-1_1.png"]);
  const second = await readGray(path.join(folder, "clip-1_1.png"));
  assert.deepEqual(
    second.data,
    clip.masks.data.slice(side * side).map((v) => v * 255),
  );
});

test("semantic masks have the palette's colors at 360x240, and no padded frames", async (t) => {
  const dir = await tempDir(t);
  const clip: Clip = { ...makeClip(0), category: "v2", frameMask: f32([1, 0], [2]) };
  const masks = new Uint8Array(2 * side * side).fill(70, 0, side * 4);
  await maskWriter(dir, "avss")(clip, { dtype: "u8", shape: [2, side, side], data: masks });
  const folder = path.join(dir, "pred_masks", "v2", "clip-0");
  assert.deepEqual(await readdir(folder), ["clip-0_0.png"]);
  const image = await readRgb(path.join(folder, "clip-0_0.png"));
  assert.deepEqual(image.shape, [240, 360, 3]);
  assert.deepEqual([...image.data.subarray(0, 3)], colorOfClass(70));
  assert.deepEqual([...image.data.subarray(-3)], [0, 0, 0]);
});

test("a clip whose name leads out of the folder is refused", async (t) => {
  const dir = await tempDir(t);
  const evil = makeClip(1, "../../../evil");
  const write = maskWriter(dir, "s4")(evil, { dtype: "u8", shape: [2, side, side], data: evil.masks.data });
  await assert.rejects(write, { name: "OutputError" });
  assert.deepEqual(await readdir(dir), []);
});

test("an interrupted evaluation is resumed from its file, which is then removed", async (t) => {
  const dir = await tempDir(t);
  const common = { predictor, task: "s4", total: 9, batchSize: 2, stateEvery: 1 } as const;
  const whole = await evaluateClips({ ...common, clips: clipsFrom(0) });
  const stateFile = path.join(dir, "state.json");
  const fingerprint = fingerprintOf({ checkpoint: "abc", clips: dataset.entries.map((entry) => entry.id) });
  const stop = new AbortController();
  const interrupted = evaluateResumable({
    ...common,
    clipsFrom,
    stateFile,
    fingerprint,
    signal: stop.signal,
    onProgress: ({ done }) => done === 6 && stop.abort(),
  });
  await assert.rejects(interrupted, { name: "AbortError" });
  assert.ok(existsSync(stateFile));

  const text = await readFile(stateFile, "utf8");
  const resumedAt: number[] = [];
  const resume = (print: string) =>
    evaluateResumable({
      ...common,
      clipsFrom,
      stateFile,
      fingerprint: print,
      onResume: (n) => resumedAt.push(n),
    });
  assert.deepEqual(await resume(fingerprint), whole);
  assert.deepEqual(resumedAt, [6]);
  assert.ok(!existsSync(stateFile));

  // A state of other options, and a damaged one, are not resumed.
  await writeFile(stateFile, text);
  assert.deepEqual(await resume(fingerprintOf({ checkpoint: "other" })), whole);
  await writeFile(stateFile, text.replace("clips", "chips"));
  assert.deepEqual(await resume(fingerprint), whole);
  await writeFile(stateFile, text.slice(0, 100));
  assert.deepEqual(await resume(fingerprint), whole);
  assert.deepEqual(resumedAt, [6]);
});
