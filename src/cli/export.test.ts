import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import test, { after } from "node:test";
import { root } from "../../test/support.js";
import { tempDir } from "../../test/temp-dir.js";
import { seededWeights, tinyS4 } from "../../test/tiny-models.js";
import { modelConfigToJson } from "../models/model-config.js";
import { writeSafetensors } from "../weights/node/safetensors-file.js";

const dir = await tempDir({ after });
const checkpoint = path.join(dir, "tiny.safetensors");
// A decoder wide enough to be quantized.
const config = { ...tinyS4, decoder: { ...tinyS4.decoder, convDim: 128 } };
const metadata = { format: "avseg-checkpoint-1", model: modelConfigToJson(config) };
await writeSafetensors(checkpoint, seededWeights(config), { metadata });

function avseg(...args: string[]): { code: number | null; out: string; err: string } {
  const main = path.join(root, "dist/src/cli/main.js");
  const run = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
  return { code: run.status, out: run.stdout, err: run.stderr };
}

test("8 bits with a comparison", async () => {
  const data = path.join(dir, "data");
  const sizes = ["--train", "1", "--val", "1", "--test", "2", "--size", "64"];
  const made = avseg("data", "synth", "s4", "--out", data, ...sizes);
  assert.equal(made.code, 0, made.err);
  const out = path.join(dir, "compared", "model.onnx");
  const {
    code,
    out: text,
    err,
  } = avseg(
    ...["export", checkpoint, "--out", out, "--precision", "int8", "--external-data", "--compare", data],
  );
  assert.equal(code, 0, err);
  assert.match(text, /in: {2}frames u8\[5,64,64,3\], logMel f32\[5,1,96,64\]/);
  assert.match(text, /int8 against the full model on 2 clips \(test\)/);
  assert.deepEqual((await readdir(path.dirname(out))).sort(), [
    "model.onnx",
    "model.onnx.comparison.json",
    "model.onnx.data",
  ]);
  const report = JSON.parse(await readFile(`${out}.comparison.json`, "utf8"));
  assert.equal(report.pixels, 2 * 5 * 64 * 64);
  assert.ok(report.flippedPixels > 0 && report.flippedFraction < 0.05, `flipped ${report.flippedFraction}`);
  assert.equal(report.miouChange, report.exported.miou - report.full.miou);
  const ratio = report.exportedSecondsPerClip / report.fullSecondsPerClip;
  assert.ok(Math.abs(report.timeRatio - ratio) < 1e-9 * ratio, `${report.timeRatio}, expected ${ratio}`);
});

test("wrong usage ends with 2, a missing checkpoint or dataset with 1, each in one line", () => {
  const out = path.join(dir, "never.onnx");
  const cases: [code: number, args: string[], message: RegExp][] = [
    [2, [checkpoint], /--out <file>/],
    [2, [checkpoint, "--out", out, "--precision", "int4"], /fp32, fp16-weights, int8/],
    [2, [checkpoint, "--out", out, "--clips", "0"], /--clips.*'0' is invalid. expected an integer, 1 to 64/],
    [2, [checkpoint, "--out", out, "--audio", "log-mel", "--with-audio-frontend"], /takes samples/],
    [1, [path.join(dir, "none.pth"), "--out", out], /none\.pth: no such weight file/],
    [1, [checkpoint, "--out", path.join(checkpoint, "model.onnx")], /cannot write/],
    [1, [checkpoint, "--out", out, "--compare", path.join(dir, "nodata")], /expected a dataset's folder/],
  ];
  for (const [code, args, message] of cases) {
    const result = avseg("export", ...args);
    assert.equal(result.code, code, `${args.join(" ")}: ${result.err}`);
    assert.match(result.err.split("\n")[0] ?? "", message);
  }
  assert.ok(!existsSync(out));
});
