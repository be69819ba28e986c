/** The web entry: what it bundles, and that a browser finds the same masks as Node. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { build } from "esbuild";
import { chromium, type Page } from "playwright-core";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.node.js";
import { loadModel, segmentFrames, segmentVideo } from "../src/index.js";
import type { Mask } from "../src/segment/mask.js";
import { root, sharedPath } from "./support.js";
import { tinyClip, tinyConfig, writeTinyModel } from "./tiny-model.js";

const browserPath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  existsSync,
);

test("the web entry needs no Node module and nothing but onnxruntime-web beside it", async () => {
  const entries = ["src/web/index.js", "src/runtime/web-worker.js"];
  const { metafile } = await build({
    entryPoints: entries.map((entry) => path.join(root, "dist", entry)),
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
    outdir: "/out",
    metafile: true,
    minify: true,
    external: ["onnxruntime-web/webgpu", "mediabunny"],
  });
  const inputs = Object.keys(metafile.inputs);
  assert.deepEqual(
    inputs.filter((file) => /\.node\.js$|^node:|onnxruntime-node|sharp/.test(file)),
    [],
  );
  const outside = Object.values(metafile.outputs).flatMap((output) => output.imports.map((i) => i.path));
  assert.deepEqual([...new Set(outside)].sort(), ["mediabunny", "onnxruntime-web/webgpu"]);
  for (const { bytes } of Object.values(metafile.outputs)) assert.ok(bytes < 400_000, `${bytes} bytes`);
});

interface ExampleServer {
  startServer(options: { model: string; files?: Record<string, string> }): Promise<Server>;
}

/** Chromium's software driver for WebGPU: slow, and the same graphs as on a card. */
const softwareGpu = "/usr/lib/chromium/vk_swiftshader_icd.json";

/** What a test does in a page of the example's server. */
async function inBrowser<T>(
  files: { model: string; video?: string; gpu?: boolean },
  work: (page: Page) => Promise<T>,
): Promise<T> {
  const { startServer }: ExampleServer = await import(path.join(root, "examples", "browser", "server.mjs"));
  const server = await startServer({
    model: files.model,
    ...(files.video ? { files: { "/video.mp4": files.video } } : {}),
  });
  const browser = await chromium.launch({
    executablePath: browserPath ?? "",
    args: [
      "--no-sandbox",
      "--disable-background-networking",
      ...(files.gpu ? ["--enable-unsafe-webgpu"] : []),
    ],
    env: { ...process.env, ...(files.gpu ? { VK_ICD_FILENAMES: softwareGpu } : {}) },
  });
  try {
    const address = server.address();
    assert.ok(address && typeof address === "object");
    const page = await browser.newPage();
    await page.goto(`http://localhost:${address.port}/`);
    return await work(page);
  } finally {
    await browser.close();
    server.close();
  }
}

type Web = typeof import("../src/web/index.js");
const library = "/avseg-web.js";

/** Labels of every picture, as the page computes them. */
function labelsOfClip(page: Page, clip: ReturnType<typeof tinyClip>, provider: "wasm" | "webgpu") {
  return page.evaluate(
    async ({ frames, shape, samples, library: address, provider: runOn }) => {
      const { loadModel: load, segmentFrames: segment }: Web = await import(address);
      const model = await load({ checkpoint: "/model", runtime: { provider: runOn, wasmFolder: "/ort/" } });
      const labels: number[][] = [];
      const input = {
        frames: frames.map((data) => ({ dtype: "u8" as const, shape, data: Uint8Array.from(data) })),
        audio: { sampleRateHz: 16_000, channels: [Float32Array.from(samples)] },
      };
      for await (const { mask } of segment(input, model)) labels.push([...mask.labels]);
      await model.close();
      return { labels, isolated: crossOriginIsolated };
    },
    {
      frames: clip.frames.map(({ data }) => [...data]),
      shape: [...(clip.frames[0]?.shape ?? [])],
      samples: [...(clip.audio.channels[0] ?? [])],
      library,
      provider,
    },
  );
}

/** Labels of every second of `/video.mp4`, at a tenth of its size. */
function labelsOfVideo(page: Page) {
  return page.evaluate(async (address) => {
    const { loadModel: load, segmentVideo: segment }: Web = await import(address);
    const model = await load({ checkpoint: "/model", runtime: { provider: "wasm", wasmFolder: "/ort/" } });
    const frames: { time: number; labels: number[]; peak: number }[] = [];
    for await (const { mask, timeSeconds, peak } of segment("/video.mp4", model)) {
      frames.push({ time: timeSeconds, labels: [...mask.labels.filter((_, i) => i % 7 === 0)], peak });
    }
    await model.close();
    return frames;
  }, library);
}

async function tinyModelFile(t: TestContext): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), "avseg-web-"));
  t.after(() => rm(dir, { recursive: true }));
  const file = path.join(dir, "tiny.safetensors");
  await writeTinyModel(file);
  return file;
}

const differing = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).filter((label, i) => label !== b[i]).length;

test("a browser finds the same masks in pictures as Node", async (t) => {
  if (browserPath === undefined) return t.skip("Chromium is not installed");
  const file = await tinyModelFile(t);
  const clip = tinyClip(tinyConfig.frameCount + 2);
  const masks: Mask[] = [];
  const model = await loadModel({ checkpoint: file, runtime: { threads: 1 } });
  for await (const { mask } of segmentFrames(clip, model)) masks.push(mask);
  await model.close();
  const pixels = masks.length * 100 * 80;
  const share = masks.flatMap((m) => m.regions).reduce((sum, r) => sum + r.area, 0) / pixels;
  assert.ok(share > 0.1 && share < 0.9, `${share} of the pixels are masked: nothing to compare`);

  const { labels, isolated } = await inBrowser({ model: file }, (page) => labelsOfClip(page, clip, "wasm"));
  assert.equal(isolated, true, "the example's headers allow threads");
  assert.equal(labels.length, masks.length);
  const different = masks.reduce((sum, mask, i) => sum + differing(mask.labels, labels[i] ?? []), 0);
  assert.ok(different / pixels < 0.005, `${different} of ${pixels} pixels differ`);

  if (!existsSync(softwareGpu)) return t.diagnostic("without a software GPU, WebGPU is not tried");
  const onGpu = await inBrowser({ model: file, gpu: true }, async (page) => {
    const hasAdapter = await page.evaluate(async () => {
      const gpu: { requestAdapter?(): Promise<unknown> } = Reflect.get(navigator, "gpu") ?? {};
      return Boolean(await gpu.requestAdapter?.());
    });
    return hasAdapter ? labelsOfClip(page, clip, "webgpu") : undefined;
  });
  if (onGpu === undefined) return t.diagnostic("no WebGPU adapter here");
  const onGpuDifferent = masks.reduce(
    (sum, mask, i) => sum + differing(mask.labels, onGpu.labels[i] ?? []),
    0,
  );
  assert.ok(onGpuDifferent / pixels < 0.005, `WebGPU: ${onGpuDifferent} of ${pixels} pixels differ`);
});

/** A generated video with sound, and a recording (which is silent) where it is there. */
async function videosFor(t: TestContext, dir: string): Promise<string[]> {
  const shapes = path.join(dir, "shapes.mp4");
  await writeClipVideo({ task: "ms3", split: "test", index: 0, seed: 1, imageSize: 160 }, shapes);
  const recording = sharedPath("media", "video.mp4");
  if (recording === undefined) t.diagnostic("the recording is absent");
  return recording === undefined ? [shapes] : [shapes, recording];
}

test("a browser finds the same masks in videos as Node", async (t) => {
  if (browserPath === undefined) return t.skip("Chromium is not installed");
  const file = await tinyModelFile(t);
  for (const video of await videosFor(t, path.dirname(file))) {
    const model = await loadModel({ checkpoint: file, runtime: { threads: 1 } });
    const expected: { time: number; labels: Uint16Array; peak: number }[] = [];
    for await (const { mask, timeSeconds, peak } of segmentVideo(video, model)) {
      expected.push({ time: timeSeconds, labels: mask.labels.filter((_, i) => i % 7 === 0), peak });
    }
    await model.close();
    const marked = expected.reduce((sum, { labels }) => sum + labels.filter((label) => label > 0).length, 0);
    const share = marked / expected.length / (expected[0]?.labels.length ?? 0);
    assert.ok(share > 0.05 && share < 0.95, `${share} of the pixels are masked: nothing to compare`);
    const found = await inBrowser({ model: file, video }, labelsOfVideo);
    assert.deepEqual(
      found.map((f) => f.time),
      expected.map((f) => f.time),
    );
    let different = 0;
    for (const [i, frame] of expected.entries()) {
      const other = found[i] ?? assert.fail();
      different += differing(frame.labels, other.labels) / frame.labels.length / expected.length;
      const where = `${path.basename(video)}, second ${i}`;
      assert.ok(Math.abs(frame.peak - other.peak) < 0.02, `${where}: peaks ${frame.peak} and ${other.peak}`);
    }
    // Decoders interpolate colours a little differently, and a random model is sensitive to that.
    assert.ok(different < 0.005, `${path.basename(video)}: ${different} of the pixels differ`);
  }
});

test("the example's page shows the mask of every second of a chosen video", async (t) => {
  if (browserPath === undefined) return t.skip("Chromium is not installed");
  const model = await tinyModelFile(t);
  const video = path.join(path.dirname(model), "shapes.mp4");
  await writeClipVideo({ task: "ms3", split: "test", index: 0, seed: 1, imageSize: 64 }, video);
  const captions = await inBrowser({ model }, async (page) => {
    await page.locator("#status", { hasText: "ready" }).waitFor();
    await page.setInputFiles("#file", video);
    await page.locator("#status", { hasText: "done" }).waitFor();
    return page.locator("figcaption").allTextContents();
  });
  assert.equal(captions.length, 5);
  for (const [i, caption] of captions.entries()) assert.match(caption, new RegExp(`^second ${i}: `));
});
