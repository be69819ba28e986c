import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { PassThrough } from "node:stream";
import test, { type TestContext } from "node:test";
import { folderView, imitateHosts, quotaPage, sendPage } from "../../test/hosts.js";
import { tempDir } from "../../test/temp-dir.js";
import { seededWeights, tinyAvsegformer, tinyS4 } from "../../test/tiny-models.js";
import { torchFile } from "../../test/torch-file.js";
import { writeClipVideo } from "../datasets/sound-shapes/video.js";
import { writeSoundShapes } from "../datasets/sound-shapes/write.js";
import { CheckpointError } from "../errors.js";
import { openModel } from "../segment/node/open-model.js";
import { chosenModel, requiredModel } from "./published-models.js";
import { UsageError } from "./run.js";

const folderId = "1COs4afrbB0PC50jo3j1lA_Ue_XNtyQMU";

/** A Drive folder with a checkpoint of the published keys, narrow layers, and what a user runs against it. */
async function setUp(t: TestContext) {
  const hosts = await imitateHosts(t);
  const dir = await tempDir(t);
  hosts.folders.set(folderId, {
    view: folderView([
      { id: "s4", name: "S4_pvt.pth" },
      { id: "other", name: "MS3_pvt.pth" },
    ]),
  });
  hosts.content.set("s4", torchFile(seededWeights(tinyS4)));
  hosts.content.set("other", torchFile(seededWeights(tinyAvsegformer)));
  hosts.warned.set("s4", "form");
  const env = { ...process.env, ...hosts.env, AVSEG_CACHE: path.join(dir, "cache") };
  const avseg = async (...args: string[]) => {
    const main = path.join(import.meta.dirname, "main.js");
    const child = spawn(process.execPath, [main, ...args], {
      cwd: dir,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [out, err] = ["", ""];
    child.stdout.on("data", (piece: Buffer) => (out += String(piece)));
    child.stderr.on("data", (piece: Buffer) => (err += String(piece)));
    const [code] = await once(child, "close");
    return { code, out, err };
  };
  return { hosts, dir, env, avseg };
}

test("segment, eval and export take a public model by name and fetch it with consent", async (t) => {
  const { hosts, dir, avseg } = await setUp(t);
  const video = path.join(dir, "my.mp4");
  await writeClipVideo({ task: "s4", split: "test", index: 0, seed: 1, imageSize: 96 }, video);

  const asked = await avseg("segment", "my.mp4", "--model", "seavs-s4");
  assert.equal(asked.code, 2, asked.err);
  assert.match(
    asked.err,
    /seavs-s4 is not in the cache and would be downloaded: about 662\.0 MB from https:\/\/drive/,
  );
  assert.match(
    asked.err,
    /hint: Add --yes to download it \(license of its code: none stated; weights: none stated\)/,
  );
  assert.equal(hosts.requests.length, 0);

  const segmented = await avseg("segment", "my.mp4", "--model", "seavs-s4", "--yes", "--out", "masks");
  assert.equal(segmented.code, 0, segmented.err);
  assert.match(segmented.out, /model: S4 model, 224x224, from seavs-s4\.pth/);
  const names = await readdir(path.join(dir, "masks", "my"), { recursive: true });
  assert.ok(names.includes("overlay.mp4") && names.includes(path.join("masks", "000000.png")), `${names}`);
  const requests = hosts.requests.length;

  const exported = await avseg("export", "--model", "seavs-s4", "--out", "seavs-s4.onnx");
  assert.equal(exported.code, 0, exported.err);
  assert.match(exported.out, /in: +frames u8\[5,224,224,3\]/);
  await writeSoundShapes({
    ...{ task: "s4", root: path.join(dir, "data"), imageSize: 64 },
    counts: { train: 1, val: 1, test: 2 },
  });
  const { visual, audio, imageSize, decoder } = tinyS4;
  if (visual.kind !== "pvt-v2") throw new Error("expected a PVTv2");
  const { dims, depths, mlpRatios, loraRank } = visual;
  const config = {
    task: "s4",
    model: {
      visual: { kind: "pvt-v2", dims, depths, mlpRatios, lora: { rank: loraRank }, weights: null },
      audio: { widths: audio.widths, hidden: audio.hidden, weights: null },
      decoder: { convDim: decoder.convDim },
    },
    data: { root: path.join(dir, "data"), imageSize, workers: 0, audioCache: false },
  };
  await writeFile(path.join(dir, "tiny.yaml"), JSON.stringify(config));
  const evaluated = await avseg(
    "eval",
    "s4",
    "tiny.yaml",
    "--model",
    "seavs-s4",
    "--no-report",
    "--out",
    "eval",
  );
  assert.equal(evaluated.code, 0, evaluated.err);
  assert.match(evaluated.out, /mIoU/);
  assert.equal(hosts.requests.length, requests, "the cache was used");

  const both = { model: "seavs-s4", checkpoint: "x.pth" };
  await assert.rejects(chosenModel(both), /both a checkpoint \(x\.pth\) and --model seavs-s4 are given/);
  await assert.rejects(chosenModel({ model: "seavs-s5" }), /unknown public model: "seavs-s5"/);
  await assert.rejects(requiredModel({}), /the checkpoint is missing/);
  assert.equal(await chosenModel({}), undefined);
});

test("weights pull shows where a model came from, its hash, what it is and its licenses", async (t) => {
  const { hosts, avseg } = await setUp(t);
  const first = await avseg("weights", "pull", "seavs-s4");
  assert.equal(first.code, 0, first.err);
  assert.match(first.out, /from https:\/\/drive\.google\.com\/drive\/folders\/1COs4\S+ \(S4_pvt\.pth\)\n/);
  assert.match(first.out, /SHA-256 [0-9a-f]{64} \(recorded now; the publisher gives none to compare with\)/);
  assert.match(first.out, /\n {2}SeaVS, one mask per frame \(S4 or MS3\), PVTv2 of 1\/1\/2\/1 blocks\n/);
  assert.match(first.out, /license: code: none stated; weights: none stated/);
  const again = await avseg("weights", "pull", "seavs-s4");
  assert.match(again.out, /in the cache already\n.*\(as recorded when it first came\)/);
  // What a file is called and what it holds are two things.
  const other = await avseg("weights", "pull", "seavs-ms3");
  assert.equal(other.code, 1);
  assert.match(
    other.err,
    /\(MS3_pvt\.pth\): expected A Simple Baseline .*, MS3, PVTv2-B5, but its parameter/,
  );
  hosts.siteInstead.push(
    (_, response) => sendPage(response, folderView([{ id: "s4", name: "avss_pvt.pth" }])),
    (_, response) => sendPage(response, quotaPage),
  );
  const full = await avseg("weights", "pull", "seavs-avss");
  assert.match(
    full.err,
    /no more downloads .*\nhint: .*https:\/\/drive\.google\.com\/file\/d\/s4\/view .*--from FILE/,
  );
  const semantic = await avseg("weights", "pull", "seavs-avss", "--from", `${hosts.site}/file/d/s4/view`);
  assert.match(semantic.err, /expected A Simple .*, AVSS, .*, found SeaVS, one mask per frame/);
});

test("models are listed with accuracy, protocol, size, licenses and origin", async (t) => {
  const { avseg } = await setUp(t);
  const table = await avseg("models");
  assert.equal(table.code, 0, table.err);
  assert.match(
    table.out,
    /^avsegformer-s4 +s4 +mIoU 83\.06, F 90\.5 +744\.0 MB +none stated +none stated +can be pulled$/m,
  );
  assert.match(table.out, /^tpavi-ms3 .* not published$/m);
  const one = await avseg("models", "selm-avss");
  assert.match(one.out, /reported: +mIoU 41\.3, F 46\.9 \(.*with random noise at inference\)/);
  assert.match(one.out, /license: +code: Apache-2\.0; weights: none stated\n/);
  assert.match(one.out, /downloads: selm-avss, vggish\n/);
  const listed: Record<string, unknown>[] = JSON.parse((await avseg("models", "--json")).out);
  assert.equal(listed.length, 25);
  const dense = listed.find(({ name }) => name === "denseav-sound");
  assert.deepEqual(dense?.licenses, { code: "MIT", weights: "MIT" });
  assert.deepEqual(dense?.inputs, ["video", "sound"]);
});

test("on a terminal the download is asked for, with its size and licenses", async (t) => {
  const { hosts, env } = await setUp(t);
  const before = { ...process.env };
  Object.assign(process.env, env);
  t.after(() => {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  });
  const answer = (text: string) => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const stderr = Object.assign(new PassThrough(), { isTTY: true });
    stdin.write(`${text}\n`);
    return { stdin, stderr };
  };
  const no = answer("");
  await assert.rejects(chosenModel({ model: "seavs-s4" }, no), UsageError);
  assert.equal(hosts.requests.length, 0);
  const shown = String(no.stderr.read());
  assert.match(shown, /download: about 662\.0 MB from https:\/\/drive\.google\.com\/drive\/folders\/1COs4/);
  assert.match(shown, /license of its code: none stated; weights: none stated\n/);
  assert.match(shown, /Download it\? \[y\/N\]/);
  const chosen = await chosenModel({ model: "seavs-s4" }, answer("y"));
  assert.equal(path.basename(chosen?.checkpoint ?? ""), "seavs-s4.pth");
  assert.deepEqual(chosen?.hints, { task: "s4" });
  assert.ok(hosts.requests.length > 0);
});

test("openModel takes a public model by name, and downloads it where that is allowed", async (t) => {
  const { hosts, dir } = await setUp(t);
  const cacheDir = path.join(dir, "other");
  const pull = { cacheDir, env: hosts.env };
  await assert.rejects(openModel({ model: "seavs-s4" }), (error) => {
    assert.ok(error instanceof CheckpointError);
    assert.match(error.message, /seavs-s4 is not in the cache/);
    assert.match(error.hint ?? "", /`avseg weights pull seavs-s4`.*`download: true`/);
    return true;
  });
  const model = await openModel({ model: "seavs-s4", download: pull, runtime: { threads: 1 } });
  assert.deepEqual([model.config.task, model.imageSize, model.config.kind], ["s4", 224, "seavs"]);
  await model.close();
  const record = await readFile(path.join(cacheDir, "weights", "seavs-s4.pth.sha256"), "utf8");
  assert.match(record, /^[0-9a-f]{64} {2}seavs-s4\.pth\n$/);
});
