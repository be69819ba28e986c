/** The web entry: what it bundles, and that a browser decodes and finds the same as Node. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after, before } from "node:test";
import { promisify } from "node:util";
import type { JSHandle, Page } from "playwright-core";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { type ExportOptions, exportModel, openModel, type Predictor, segmentVideo } from "../src/index.js";
import { writeSafetensors } from "../src/weights/node/safetensors-file.js";
import { browserPath, library, type OpenPage, openPage, type Web } from "./browser.js";
import { clipInNode, clipInPage, differing, loadInPage, writeClip } from "./browser-clip.js";
import { bundleForBrowsers } from "./bundle.js";
import { type Given, givenOf, labelsOf } from "./recorder.js";
import { referencePath } from "./reference.js";
import { root } from "./support.js";
import { tempDir } from "./temp-dir.js";
import { tinyClip, tinyConfig, writeTinyModel } from "./tiny-model.js";
import { seededWeights, tinyDenseav } from "./tiny-models.js";

type Recorder = typeof import("./recorder.js");
const recorder = "/recorder.js";

const skip = browserPath === undefined && "Chromium is not installed";

test("the web entry needs no Node module and nothing but onnxruntime-web beside it", async () => {
  const entries = ["web/index.js", "runtime/web/worker.js"];
  const { imports, bytes } = await bundleForBrowsers(entries, ["onnxruntime-web/*", "mediabunny"]);
  assert.deepEqual(imports, ["mediabunny", "onnxruntime-web/wasm", "onnxruntime-web/webgpu"]);
  for (const size of bytes) assert.ok(size < 400_000, `${size} bytes`);
});

/** What is exported for the tests below, by file name. */
const exported: Readonly<Record<string, Omit<ExportOptions, "checkpoint" | "out">>> = {
  "half.onnx": { precision: "fp16-weights" },
  "int8.onnx": { precision: "int8" },
  "apart.onnx": { externalData: true, form: { clips: 2 } },
  "sound.onnx": { form: { audio: "pcm" } },
};

const recording = referencePath("media", "rotate-buck-bunny.mp4");

const dir = await tempDir({ after });
let browser: OpenPage;
let page: Page;
let inPage: JSHandle<Predictor>;
let inNode: Predictor;
const inDir = (name: string) => path.join(dir, name);

before(async () => {
  if (skip) return;
  await writeTinyModel(inDir("tiny.safetensors"));
  await writeClip(dir, tinyClip(tinyConfig.frameCount + 2));
  await writeClipVideo(
    { task: "ms3", split: "test", index: 0, seed: 1, imageSize: 160 },
    inDir("shapes.mp4"),
  );
  const checkpoint = inDir("tiny.safetensors");
  await Promise.all([
    makeVideos(),
    writeFile(inDir("words.mp4"), "these are words"),
    exportDenseav(),
    ...Object.entries(exported).map(([name, options]) =>
      exportModel({ checkpoint, out: inDir(name), ...options }),
    ),
  ]);
  await writeFile(inDir("cut.webm"), (await readFile(inDir("opus.webm"))).subarray(0, 9000));
  const files = [...readdirSync(dir).map(inDir), recording];
  browser = await openPage(checkpoint, {
    files: {
      [recorder]: path.join(root, "dist", "test", "recorder.js"),
      ...Object.fromEntries(files.map((file) => [`/${path.basename(file)}`, file])),
    },
  });
  page = browser.page;
  inPage = await loadInPage(page, "/model");
  inNode = await openModel({ checkpoint, runtime: { threads: 1 } });
});

/** Exports a small DenseAV, whose input is the wave. */
async function exportDenseav(): Promise<void> {
  const checkpoint = inDir("denseav.safetensors");
  const metadata = { format: "avseg-checkpoint-1", model: JSON.stringify(tinyDenseav) };
  await writeSafetensors(checkpoint, seededWeights(tinyDenseav), { metadata });
  await exportModel({ checkpoint, out: inDir("denseav.onnx") });
}

after(async () => {
  if (skip) return;
  await inNode?.close();
  await browser?.close();
});

test("pictures and sound in memory give the same masks", { skip }, async () => {
  const expected = await clipInNode(dir, inNode);
  const share = expected.filter((label) => label > 0).length / expected.length;
  assert.ok(share > 0.1 && share < 0.9, `${share} of the pixels are masked: nothing to compare`);
  assert.ok(differing(await clipInPage(page, inPage), expected) < 0.005);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true, "the example's headers allow threads");
});

test("videos give the same masks", { skip }, async () => {
  for (const file of [inDir("shapes.mp4"), recording]) {
    const name = path.basename(file);
    const [expected, found] = await Promise.all([
      labelsOf(segmentVideo, file, inNode),
      page.evaluate(
        async ({ library: from, recorder: code, address, model }) => {
          const { segmentVideo: segment }: Web = await import(from);
          const { labelsOf: record }: Recorder = await import(code);
          return record(segment, address, model);
        },
        { library, recorder, address: `/${name}`, model: inPage },
      ),
    ]);
    assert.ok(
      expected.some(({ labels }) => /[^\0]/.test(labels)),
      `${name}: nothing is marked`,
    );
    assert.equal(found.length, expected.length, name);
    let share = 0;
    for (const [i, { time, peak, labels }] of expected.entries()) {
      const other = found[i] ?? assert.fail();
      assert.equal(other.time, time, name);
      assert.ok(Math.abs(other.peak - peak) < 1e-3, `${name}, second ${i}: peaks ${peak} and ${other.peak}`);
      share += differing(other.labels, labels) / expected.length;
    }
    assert.ok(share < 0.005, `${name}: ${share} of the pixels differ`);
  }
});

/** Videos whose tracks start, are cut, coded or colored in uncommon ways, by name, and the ffmpeg that makes them. */
const unusual: Readonly<Record<string, string>> = {
  "late-picture.mkv": "-i SHORT -itsoffset 0.5 -i SHORT -map 1:v -map 0:a -c copy",
  "late-sound.mp4": "-i SHORT -itsoffset 0.7 -i SHORT -map 0:v -map 1:a -c copy",
  "late-both.mkv": "-itsoffset 1.3 -i SHORT -c copy",
  "trimmed.mp4": "-ss 0.5 -i SHORT -c copy",
  "fragments.mp4": "-i SHORT -c copy -movflags empty_moov+frag_keyframe",
  "early-fragments.mp4": "-i SHORT -c copy -movflags empty_moov+frag_keyframe+negative_cts_offsets",
  "mute-fragments.mp4": "-i SHORT -c copy -an -movflags empty_moov+frag_keyframe+negative_cts_offsets",
  "broadcast.ts": "-i SHORT -c copy",
  "opus.webm": "-i SHORT -c:v libvpx -deadline realtime -b:v 1M -c:a libopus",
  "vorbis.webm": "-i SHORT -c:v libvpx -deadline realtime -b:v 1M -c:a libvorbis -ar 22050",
  "mute-vp9.webm": "-i SHORT -an -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M",
  "surround.mp4": "-i SHORT -c:v copy -c:a aac -ac 6",
  "uneven.mp4":
    "-i SHORT -vf select=not(mod(n\\,3))+not(mod(n\\,7)) -fps_mode vfr -c:v libx264 -preset ultrafast -c:a copy",
  "turned.mp4": "-i SHORT -c copy -metadata:s:v rotate=90",
  "bt709.mp4": "-i SHORT -c copy -bsf:v h264_metadata=matrix_coefficients=1",
  "ten-bits.mp4": "-i SHORT -pix_fmt yuv420p10le -c:v libx264 -preset ultrafast -c:a copy",
  "full-color.mp4": "-i SHORT -pix_fmt yuv444p -c:v libx264 -preset ultrafast -c:a copy",
};

async function makeVideos(): Promise<void> {
  const short = inDir("short.mp4");
  const noise = "0.3*sin(2*PI*(200+600*t)*t)+0.1*random(0)|0.2*random(1)";
  const make = (name: string, args: string) =>
    promisify(execFile)("ffmpeg", ["-nostdin", "-v", "error", "-y", ...args.split(" "), inDir(name)]);
  await make(
    "short.mp4",
    `-f lavfi -i testsrc2=s=160x120:r=25:d=1.6 -f lavfi -i aevalsrc=${noise}:s=44100:d=1.6 ` +
      "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
  );
  await Promise.all(
    Object.entries(unusual).map(([name, args]) => make(name, args.replaceAll("SHORT", short))),
  );
}

test("models see the same pictures and hear the same sound, however a video is made", { skip }, async () => {
  const side = 32;
  for (const name of Object.keys(unusual)) {
    const [here, json] = await Promise.all([
      givenOf(segmentVideo, inDir(name), { imageSize: side }),
      page.evaluate(
        async ({ library: from, recorder: code, address, side: imageSize }) => {
          const { segmentVideo: segment }: Web = await import(from);
          const { givenOf: record }: Recorder = await import(code);
          // As text: Playwright looks at every number of an array.
          return JSON.stringify(await record(segment, address, { imageSize }));
        },
        { library, recorder, address: `/${name}`, side },
      ),
    ]);
    const there: Given = JSON.parse(json);
    assert.deepEqual(there.steps, here.steps, name);
    const levels = meanDifference(there.frames, here.frames);
    assert.ok(levels < 1, `${name}: pictures differ by ${levels} levels on average`);
    const mels = meanDifference(there.logMel, here.logMel);
    assert.ok(mels < 0.01, `${name}: log-mels differ by ${mels} on average`);
  }
});

test("a slice has the same pictures and the same sound, at the times of the whole video", {
  skip,
}, async () => {
  const [imageSize, part] = [32, { startSeconds: 1.3, endSeconds: 4.1 }];
  const [here, whole, json] = await Promise.all([
    givenOf(segmentVideo, inDir("shapes.mp4"), { imageSize, slice: part }),
    givenOf(segmentVideo, inDir("shapes.mp4"), { imageSize }),
    page.evaluate(
      async ({ library: from, recorder: code, imageSize: size, slice }) => {
        const { segmentVideo: segment }: Web = await import(from);
        const { givenOf: record }: Recorder = await import(code);
        return JSON.stringify(await record(segment, "/shapes.mp4", { imageSize: size, slice }));
      },
      { library, recorder, imageSize, slice: part },
    ),
  ]);
  const there: Given = JSON.parse(json);
  assert.deepEqual(
    here.steps.map(([time = 0]) => time.toFixed(4)),
    ["2.2375", "3.2375", "4.1125"],
  );
  assert.deepEqual(there.steps, here.steps);
  assert.ok(meanDifference(there.frames, here.frames) < 1);
  assert.ok(meanDifference(there.logMel, here.logMel) < 0.02);
  const moved = meanDifference(whole.logMel.slice(0, here.logMel.length), here.logMel);
  assert.ok(moved > 0.2, `${moved}: the whole video sounds alike, so that nothing is compared`);
  assert.match(
    await failureOf("segmentVideo", "/shapes.mp4", "slice after the end"),
    /MediaError: .*the slice starts at 90 s, but the video ends after 5.0 s/,
  );
});

function meanDifference(a: readonly number[], b: readonly number[]): number {
  assert.equal(a.length, b.length);
  return b.reduce((sum, value, i) => sum + Math.abs(value - a[i]!), 0) / b.length;
}

test("every precision and weights beside the model give Node's masks", { skip }, async () => {
  for (const name of ["half.onnx", "int8.onnx", "apart.onnx"]) {
    const [here, there] = await Promise.all([
      openModel({ checkpoint: inDir(name), runtime: { threads: 1 } }),
      loadInPage(page, `/${name}`),
    ]);
    const [expected, found] = await Promise.all([clipInNode(dir, here), clipInPage(page, there)]);
    await Promise.all([here.close(), there.evaluate((model) => model.close())]);
    const share = differing(found, expected);
    assert.ok(share < 0.005, `${name}: ${share} of the pixels differ`);
  }
});

test("DenseAV, exported or as a checkpoint, marks what it marks in Node", { skip }, async () => {
  for (const name of ["denseav.onnx", "denseav.safetensors"]) {
    const here = await openModel({ checkpoint: inDir(name), runtime: { threads: 1 } });
    const there = await loadInPage(page, `/${name}`);
    const [expected, found] = await Promise.all([clipInNode(dir, here), clipInPage(page, there)]);
    await Promise.all([here.close(), there.evaluate((model) => model.close())]);
    const marked = expected.filter((label) => label > 0).length / expected.length;
    assert.ok(
      marked > 0.02 && marked < 0.98,
      `${name}: ${marked} of the pixels are marked: nothing to compare`,
    );
    const share = differing(found, expected);
    assert.ok(share < 0.005, `${name}: ${share} of the pixels differ`);
  }
});

/** What `work` in the page throws, as a line. */
const failureOf = (
  call: "openModel" | "segmentVideo",
  address: string,
  as: "address" | "bytes" | "aborted" | "slice after the end",
) =>
  page.evaluate(
    async ({ library: from, call: name, address: file, as: form, model }) => {
      const { openModel: load, segmentVideo: segment }: Web = await import(from);
      const given = form === "bytes" ? new Uint8Array(await (await fetch(file)).arrayBuffer()) : file;
      const signal = form === "aborted" ? AbortSignal.abort(new Error("enough")) : undefined;
      const slice = form === "slice after the end" ? { startSeconds: 90 } : undefined;
      const options = { signal, slice };
      try {
        if (name === "openModel") await load({ checkpoint: given, runtime: { provider: "wasm" }, signal });
        else for await (const _ of segment(given, model, options));
        return "nothing";
      } catch (error) {
        if (!(error instanceof Error)) return String(error);
        const hint: unknown = Reflect.get(error, "hint");
        return `${error.name}: ${error.message}${typeof hint === "string" ? ` (${hint})` : ""}`;
      }
    },
    { library, call, address, as, model: inPage },
  );

test("what cannot be opened says why and what to do", { skip }, async () => {
  const inputs =
    /CheckpointError: .*expected the inputs frames u8 and logMel f32, found .* \(Export it again/;
  assert.match(await failureOf("openModel", "/sound.onnx", "address"), inputs);
  assert.match(
    await failureOf("openModel", "/apart.onnx", "bytes"),
    /CheckpointError: checkpoint: its weights lie in another file, apart.onnx.data \(Give that as `externalData`/,
  );
  assert.match(await failureOf("openModel", "/none.onnx", "address"), /CheckpointError: .*answered 404/);
  assert.match(await failureOf("openModel", "/words.mp4", "bytes"), /CheckpointError: /);
  assert.match(await failureOf("openModel", "/model", "aborted"), /^Error: enough$/);
  assert.match(await failureOf("segmentVideo", "/none.mp4", "address"), /MediaError: .*answered 404/);
  assert.match(await failureOf("segmentVideo", "/words.mp4", "bytes"), /MediaError: video: not a video/);
  assert.match(await failureOf("segmentVideo", "/cut.webm", "address"), /MediaError: .*not one frame/);
  assert.match(
    await failureOf("segmentVideo", "/sound.wav", "address"),
    /MediaError: .*a sound file: it has no picture/,
  );
  assert.match(await failureOf("segmentVideo", "/short.mp4", "aborted"), /^Error: enough$/);
});

test("the library prints nothing", { skip }, () => {
  // What the browser itself says of the addresses above that do not exist.
  const own = browser.printed.filter((line) => !/Failed to load resource: .*404/.test(line));
  assert.deepEqual(own, []);
});

test("the example's page says what is wrong with a model or a file", { skip }, async () => {
  const status = page.locator("#status");
  await page.route("/model", (route) => route.fulfill({ status: 404 }));
  await page.goto("/");
  await status.filter({ hasText: /answered 404/ }).waitFor();
  await page.unroute("/model");
  await page.goto("/");
  await status.filter({ hasText: "ready" }).waitFor();
  await page.setInputFiles("#file", inDir("words.mp4"));
  await status.filter({ hasText: /words\.mp4: not a video.*[^.]\. [A-Z]/ }).waitFor();
  assert.equal(await page.locator("#result").isVisible(), false);
});

test("the example's page shows a chosen video with its masks", { skip }, async () => {
  await page.goto("/");
  await page.locator("#status", { hasText: "ready" }).waitFor();
  await page.setInputFiles("#file", inDir("shapes.mp4"));
  await page.locator("#status", { hasText: "5 s, done" }).waitFor();
  const bars = page.locator("#seconds button");
  assert.equal(await bars.count(), 5);
  for (let i = 0; i < 5; i++)
    assert.match((await bars.nth(i).getAttribute("title")) ?? "", new RegExp(`^second ${i}: `));
  await bars.nth(2).click();
  const painted = await page.waitForFunction(() => {
    const canvas = document.querySelector("canvas");
    const pixels = canvas?.width
      ? canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height)
      : undefined;
    return pixels?.data.some((value, i) => i % 4 === 3 && value > 0);
  });
  assert.ok(painted);
});
