import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { seededUniform } from "../../../test/support.js";
import { tempDir } from "../../../test/temp-dir.js";
import { fitExamples } from "../../media/log-mel.js";
import { resample } from "../../media/resample.js";
import { encodeWav, readWav, toMono } from "../../media/wav.js";
import { writeSoundShapes } from "../sound-shapes/write.js";
import { openDataset } from "./open-dataset.js";

test("a clip has the form of sound that the model takes, with the bits of the whole file", async (t) => {
  const root = await tempDir(t);
  const counts = { train: 1, val: 0, test: 0 };
  const { folder } = await writeSoundShapes({ task: "ms3", root, counts, imageSize: 32 });
  const names = await readdir(folder, { recursive: true });
  const wav = names.find((name) => name.endsWith(".wav")) ?? assert.fail();
  const options = { task: "ms3", root, split: "train", imageSize: 32 } as const;
  for (const seconds of [8, 3.3, 0.2]) {
    const samples = seededUniform("sound", Math.round(44_100 * seconds));
    const bytes = encodeWav({ sampleRateHz: 44_100, channels: [samples, samples.toReversed()] });
    await writeFile(path.join(folder, wav), bytes);
    const mono = toMono(readWav(bytes, wav));
    const expected = new Float32Array(5 * 16_000);
    expected.set(resample(mono, 44_100, 16_000).subarray(0, expected.length));
    const clip = await (await openDataset({ ...options, waves: true })).load(0);
    assert.deepEqual(clip.sound, { dtype: "f32", shape: [80_000], data: expected });
    assert.equal(clip.logMel, undefined);
    const plain = await (await openDataset({ ...options, audio: "wav" })).load(0);
    assert.deepEqual(plain.logMel, fitExamples(mono, 44_100, 5));
    assert.equal(plain.sound, undefined);
  }
});
