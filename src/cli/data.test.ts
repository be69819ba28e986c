import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { root } from "../../test/support.js";
import { tempDir } from "../../test/temp-dir.js";
import { checkConfig } from "../config/validate.js";
import { parseYamlConfig } from "../config/yaml.js";
import { writeClipVideo } from "../datasets/sound-shapes/video.js";
import { encodePng } from "../media/node/image-file.js";
import { writeFileAtomic } from "../node/files.js";

function avseg(...args: string[]): { code: number | null; out: string; err: string } {
  const main = path.join(root, "dist/src/cli/main.js");
  const run = spawnSync(process.execPath, [main, "data", ...args], { encoding: "utf8" });
  return { code: run.status, out: run.stdout, err: run.stderr };
}

test("synth makes a dataset in which check finds nothing, and faults end check with 1", async (t) => {
  const dir = await tempDir(t);
  const made = avseg(
    "synth",
    "ms3",
    "--out",
    dir,
    "--train",
    "2",
    "--val",
    "1",
    "--test",
    "1",
    "--size",
    "32",
  );
  assert.equal(made.code, 0, made.err);
  assert.match(made.out, /Multi-sources: 4 clips/);
  const sound = avseg("check", "ms3", dir);
  assert.equal(sound.code, 0, sound.err);
  assert.match(sound.out, /2 training, 1 validation and 1 test clips, 0 findings/);
  await rm(path.join(dir, "Multi-sources/ms3_data/audio_wav/val/shapes_val_00000.wav"));
  const faulty = avseg("check", "ms3", dir);
  assert.equal(faulty.code, 1);
  assert.match(faulty.out, /error \[missing\] shapes_val_00000: .*shapes_val_00000\.wav is missing/);
  assert.match(faulty.err, /1 error found\nhint: /);
});

test("photos without its packages names them and the commands that fetch them", async (t) => {
  const dir = await tempDir(t);
  const run = avseg("synth", "photos", "s4", "--sources", dir, "--out", path.join(dir, "out"));
  assert.equal(run.code, 1);
  assert.match(run.err, /not found in .*: tuxpaint-stamps-default, .*openttd-opensfx/);
  assert.match(run.err, /^hint: Run `mkdir -p .* apt-get download .*dpkg -x .*and pass --sources /m);
});

test("control characters in a table are escaped", async (t) => {
  const dir = await tempDir(t);
  const table = path.join(dir, "Multi-sources", "ms3_meta_data.csv");
  await writeFileAtomic(table, 'name,split\nx\x1b]0;owned\x07,train\n"y\nz",\x9b2J\n');
  const listed = avseg("check", "ms3", dir);
  assert.match(listed.out, /^error \[missing\] x\\x1b\]0;owned\\x07: /m);
  assert.match(listed.out, /line 3: split is "\\x9b2J", expected train, val or test$/m);
  assert.doesNotMatch(listed.out, /[^\P{Cc}\n]/u);
  const json = avseg("check", "ms3", dir, "--json");
  assert.doesNotMatch(json.out, /[^\P{Cc}\n]/u);
  assert.match(json.out, /"clip": "x\\u001b\]0;owned\\u0007"/);
  assert.ok(JSON.parse(json.out));
});

test("wrong usage exits with 2 and writes nothing", async (t) => {
  const dir = path.join(await tempDir(t), "none");
  for (const args of [
    ["--train", "x"],
    ["--kinds", "disc"],
    ["--size", "2000"],
    ["--videos", "99"],
    ["--test", "1e300"],
  ]) {
    const { code, err } = avseg("synth", "s4", "--out", dir, ...args);
    assert.equal(code, 2, err);
    assert.match(err, /^avseg: .*\nhint: /);
  }
  for (const args of [
    ["--val", "0.7", "--test", "0.7"],
    ["--size", "1e9"],
    ["--task", "s3"],
    ["--task", "avss"],
    ["--classes", "dog"],
    ["--task", "avss", "--classes", "dog,dog"],
    ["--task", "avss", "--classes", "dog,background"],
  ]) {
    assert.equal(avseg("import", dir, "--out", dir, ...args).code, 2, args.join(" "));
  }
  assert.equal(avseg("check", "s4", dir).code, 1);
});

test("import writes a dataset and a configuration that holds", async (t) => {
  const dir = await tempDir(t);
  const own = path.join(dir, "own");
  await writeClipVideo(
    { task: "s4", split: "train", index: 0, seed: 1, imageSize: 32 },
    path.join(own, "a.mp4"),
  );
  const writeMasks = async (value: number): Promise<void> => {
    const mask = await encodePng({ dtype: "u8", shape: [32, 32], data: new Uint8Array(1024).fill(value) });
    for (let second = 0; second < 5; second++) await writeFileAtomic(path.join(own, `a/${second}.png`), mask);
  };
  await writeMasks(255);
  const out = path.join(dir, "data");
  const run = avseg("import", own, "--out", out, "--val", "0", "--test", "0");
  assert.equal(run.code, 0, run.err);
  assert.match(run.out, /1 training, 0 validation and 0 test clips/);
  const file = path.join(out, "ms3.yaml");
  const config = checkConfig(parseYamlConfig(await readFile(file, "utf8"), file));
  assert.equal(config.data.root, out);
  assert.equal(config.training.valSplit, "train");

  await writeMasks(2);
  const from = path.resolve("assets/soundshapes/demo.safetensors");
  const semantic = ["--task", "avss", "--classes", "dog, guitar", "--from", from];
  const second = avseg("import", own, "--out", out, "--val", "0", "--test", "0", ...semantic);
  assert.equal(second.code, 0, second.err);
  const avssFile = path.join(out, "avss.yaml");
  const avss = checkConfig(parseYamlConfig(await readFile(avssFile, "utf8"), avssFile));
  assert.equal(avss.training.losses.crossEntropy, 1);
  assert.equal(avss.data.frameCount, 5);
  assert.equal(avss.training.optimizer.learningRate, 2e-4);
  assert.equal(avss.training.init, from);
  assert.equal(avss.workDir, path.join("work_dir", "avss", "data"));
  const names = await readFile(path.join(out, "AVSS/label2idx.json"), "utf8");
  assert.deepEqual(JSON.parse(names), { background: 0, dog: 1, guitar: 2 });
});
