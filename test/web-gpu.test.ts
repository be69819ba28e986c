/** The same masks on WebGPU, in a file of its own: a software driver takes its time to compile shaders. */
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { openModel } from "../src/index.js";
import { browserPath, hasSoftwareGpu, openPage } from "./browser.js";
import { clipInNode, clipInPage, differing, loadInPage, writeClip } from "./browser-clip.js";
import { tempDir } from "./temp-dir.js";
import { tinyClip, tinyConfig, writeTinyModel } from "./tiny-model.js";

test("WebGPU finds the same masks as Node", async (t) => {
  if (browserPath === undefined) return t.skip("Chromium is not installed");
  if (!hasSoftwareGpu) return t.skip("Chromium has no software driver for WebGPU");
  const dir = await tempDir(t);
  const checkpoint = path.join(dir, "tiny.safetensors");
  await writeTinyModel(checkpoint);
  await writeClip(dir, tinyClip(tinyConfig.frameCount));
  const here = await openModel({ checkpoint, runtime: { threads: 1 } });
  const expected = await clipInNode(dir, here);
  await here.close();

  const files = { "/clip.rgb": path.join(dir, "clip.rgb"), "/sound.wav": path.join(dir, "sound.wav") };
  const { page, close } = await openPage(checkpoint, { files, gpu: true });
  t.after(close);
  const hasAdapter = await page.evaluate(async () => {
    const gpu: { requestAdapter?(): Promise<unknown> } = Reflect.get(navigator, "gpu") ?? {};
    return Boolean(await gpu.requestAdapter?.());
  });
  if (!hasAdapter) return t.skip("no WebGPU adapter here");
  const share = differing(await clipInPage(page, await loadInPage(page, "/model", "webgpu")), expected);
  assert.ok(share < 0.005, `${share} of the pixels differ`);
});
