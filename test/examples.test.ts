/** The examples, run as their first lines say. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import path from "node:path";
import test, { after, before } from "node:test";
import * as ort from "onnxruntime-node";
import type { ClipSpec } from "../src/datasets/sound-shapes/plan.js";
import { renderClip } from "../src/datasets/sound-shapes/render-clip.js";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { exportModel } from "../src/export/export-model.js";
import {
  configFromObject,
  openModel,
  openTraining,
  type Predictor,
  segmentVideo,
  writeSoundShapes,
} from "../src/index.js";
import { encodePng } from "../src/media/node/image-file.js";
import { writeFileAtomic } from "../src/node/files.js";
import { examplePython } from "./example-python.js";
import { root } from "./support.js";
import { tempDir } from "./temp-dir.js";
import { tinyConfig, writeTinyModel } from "./tiny-model.js";

const size = 64;
const dir = await tempDir({ after });
let video = "";
let tiny = "";

before(async () => {
  video = path.join(dir, "shapes.mp4");
  tiny = path.join(dir, "tiny.safetensors");
  process.env.AVSEG_CACHE = path.join(dir, "cache");
  await writeClipVideo({ task: "ms3", split: "test", index: 0, seed: 1, imageSize: size }, video);
  await writeTinyModel(tiny);
});

/** Runs a program; fails the test with its stderr unless it exits with 0. */
async function run(command: string, args: readonly string[], env = process.env): Promise<string> {
  const child = spawn(command, args, { cwd: root, env });
  const [out, err]: string[][] = [[], []];
  child.stdout.on("data", (piece: Buffer) => out?.push(String(piece)));
  child.stderr.on("data", (piece: Buffer) => err?.push(String(piece)));
  const [code] = await once(child, "close");
  assert.equal(code, 0, err?.join(""));
  return out?.join("") ?? "";
}

const example = (name: string) => path.join("examples", name);

/** What a program writes to stderr as it ends with 1. */
function failure(command: string, ...args: string[]): string {
  const { status, stderr } = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  assert.equal(status, 1, stderr);
  return stderr;
}

test("segment-video prints a line per second", async () => {
  const text = await run(process.execPath, [example("segment-video.mjs"), video, tiny]);
  const lines = text.trim().split("\n");
  assert.equal(lines.length, 5);
  for (const [i, line] of lines.entries()) {
    assert.match(
      line,
      new RegExp(`^${i} s {2}(nothing sounds|sounding: [\\d.]+% of the frame in \\[.*confidence [\\d.]+)`),
    );
  }
});

test("what a user can fix is reported without a stack", async (t) => {
  const node = (name: string, ...args: string[]) => failure(process.execPath, example(name), ...args);
  const gone = path.join(dir, "gone");
  assert.match(node("segment-video.mjs", gone, tiny), /^.*gone: there is no such video file\n.*\n$/);
  assert.match(node("fine-tune.mjs", gone, gone, dir), /^.*gone: .*no such .*file\n.*\n$/);
  assert.match(node("browser/server.mjs", gone), /^.*gone: there is no such file\n$/);
  const taken = createServer().listen(0, "localhost");
  await once(taken, "listening");
  t.after(() => taken.close());
  const address = taken.address();
  assert.ok(address && typeof address === "object");
  const port = String(address.port);
  for (const name of ["http-server.mjs", "browser/server.mjs"]) {
    assert.equal(node(name, tiny, port), `port ${port} is in use: give another one\n`);
  }
});

test("Ctrl-C ends segment-video with 130 and one word", async () => {
  const long = path.join(dir, "long.mp4");
  await run("ffmpeg", ["-v", "error", "-stream_loop", "200", "-i", video, "-c", "copy", long]);
  const child = spawn(process.execPath, [example("segment-video.mjs"), long, tiny], { cwd: root });
  let err = "";
  child.stderr.on("data", (piece: Buffer) => {
    err += String(piece);
  });
  child.stdout.once("data", () => child.kill("SIGINT"));
  const [code] = await once(child, "close");
  assert.deepEqual([code, err], [130, "interrupted\n"]);
});

interface HttpExample {
  startServer(model: Predictor, port?: number): Promise<Server>;
}

test("the HTTP endpoint streams a JSON line per second, and says what is wrong with other files", async (t) => {
  const { startServer }: HttpExample = await import(path.join(root, example("http-server.mjs")));
  const model = await openModel({ checkpoint: tiny, runtime: { threads: 1 } });
  t.after(() => model.close());
  const server = await startServer(model);
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address && typeof address === "object");
  const post = (body: Uint8Array<ArrayBuffer>) =>
    fetch(`http://localhost:${address.port}/segment`, { method: "POST", body });

  const answer = await post(new Uint8Array(await readFile(video)));
  assert.equal(answer.headers.get("content-type"), "application/x-ndjson");
  const lines = (await answer.text()).trim().split("\n");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).width),
    [size, size, size, size, size],
  );
  const refused = await post(new TextEncoder().encode("this is no video"));
  assert.equal(refused.status, 422);
  assert.deepEqual(Object.keys(JSON.parse(await refused.text())), ["error", "hint"]);
});

test("train-mlp learns a task and writes a model that other runtimes read", async () => {
  const out = path.join(dir, "moons.onnx");
  const text = await run(process.execPath, [example("train-mlp.mjs"), out]);
  const accuracy = Number(/^accuracy on 1000 new points: ([\d.]+)%$/m.exec(text)?.[1]);
  assert.ok(accuracy > 97, text);
  const session = await ort.InferenceSession.create(out);
  assert.deepEqual([session.inputNames, session.outputNames], [["points"], ["logits"]]);
  await session.release();
});

/** A checkpoint of `avseg train`, as small as one can be: a few steps at 64x64. */
async function trained(): Promise<string> {
  const data = path.join(dir, "shapes");
  await writeSoundShapes({ task: "ms3", root: data, counts: { train: 2, val: 1, test: 1 }, imageSize: size });
  const { audio, decoder } = tinyConfig;
  const config = configFromObject({
    task: "ms3",
    model: {
      visual: {
        kind: "pvt-v2",
        dims: [16, 32, 40, 64],
        depths: [1, 1, 1, 1],
        heads: [1, 2, 5, 8],
        mlpRatios: [4, 4, 4, 4],
        reductions: [8, 4, 2, 1],
      },
      audio: { widths: audio.widths, hidden: audio.hidden },
      decoder: { convDim: decoder.convDim },
    },
    data: { root: data, imageSize: size, batchSize: 2, workers: 0 },
    training: { epochs: 1 },
    runtime: { threads: 1 },
  });
  const training = await openTraining({ config, workDir: path.join(dir, "base") });
  try {
    return (await training.trainer.run()).lastFile;
  } finally {
    await training.close();
  }
}

test("fine-tune trains on labeled videos from a checkpoint", async () => {
  const labeled = path.join(dir, "labeled");
  for (let i = 0; i < 4; i++) {
    const spec: ClipSpec = { task: "ms3", split: "train", index: i, seed: 7, imageSize: size };
    await writeClipVideo(spec, path.join(labeled, `clip${i}.mp4`));
    const { masks } = renderClip(spec);
    for (let second = 0; second < 5; second++) {
      const data = masks.data.slice(second * size * size, (second + 1) * size * size).map((v) => 255 * v);
      const png = await encodePng({ dtype: "u8", shape: [size, size], data });
      await writeFileAtomic(path.join(labeled, `clip${i}`, `${second}.png`), png);
    }
  }
  const args = [example("fine-tune.mjs"), labeled, await trained(), path.join(dir, "tuned"), "2"];
  const text = await run(process.execPath, args);
  assert.match(text, /^2 clips to train on, 1 to validate, 1 to test\n/);
  assert.match(text, /epoch 2: loss \d\.\d+, validation mIoU 0\.\d+/);
  assert.match(text, /test mIoU 0\.\d+ before, 0\.\d+ after: .*\.safetensors/);
  assert.match(failure(process.execPath, ...args), /^.*: expected an empty folder.*\n.*\n$/);
});

test("the exported model runs in Python", async (t) => {
  const found = examplePython();
  if ("reason" in found) return t.skip(found.reason);
  const { python } = found;
  const out = path.join(dir, "tiny.onnx");
  await exportModel({ checkpoint: tiny, out, form: { audio: "pcm" } });
  const text = await run(python, [path.join("examples", "python", "segment.py"), out, video]);
  const segment = (...args: string[]) =>
    failure(python, path.join("examples", "python", "segment.py"), ...args);
  const mute = path.join(dir, "mute.mp4");
  await run("ffmpeg", ["-v", "error", "-i", video, "-an", "-c", "copy", mute]);
  assert.match(segment(out, mute), /^.*mute\.mp4: ffmpeg finds no sound in it\n$/);
  assert.match(segment(out, path.join(dir, "gone.mp4")), /^.*gone\.mp4: there is no such file\n$/);
  const model = await openModel({ checkpoint: tiny, runtime: { threads: 1 } });
  t.after(() => model.close());
  const shares: number[] = [];
  for await (const { mask } of segmentVideo(video, model, { refine: false })) {
    shares.push(mask.regions.reduce((sum, r) => sum + r.area, 0) / (size * size));
  }
  const lines = text.trim().split("\n");
  assert.equal(lines.length, shares.length);
  for (const [i, line] of lines.entries()) {
    const { second, share }: { second: number; share: number } = JSON.parse(line);
    assert.equal(second, i);
    assert.ok(Math.abs(share - (shares[i] ?? 0)) < 0.01, `second ${i}: ${share}, here ${shares[i]}`);
  }
});
