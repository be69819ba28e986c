/** The same masks on WebGPU, in a file of its own: a software driver takes its time to compile shaders. */
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { openModel } from "../src/index.js";
import { type AvsModelConfig, modelConfigToJson } from "../src/models/model-config.js";
import { writeSafetensors } from "../src/weights/node/safetensors-file.js";
import { browserPath, hasSoftwareGpu, openPage } from "./browser.js";
import { clipInNode, clipInPage, differing, loadInPage, writeClip } from "./browser-clip.js";
import { tempDir } from "./temp-dir.js";
import { tinyClip, tinyConfig, writeTinyModel } from "./tiny-model.js";
import { seededWeights, tinyAvsegformer, tinyTpavi } from "./tiny-models.js";

/** A model of another system with seeded weights. */
async function writeSeeded(file: string, model: AvsModelConfig): Promise<void> {
  const metadata = { format: "avseg-checkpoint-1", model: modelConfigToJson(model) };
  await writeSafetensors(file, seededWeights(model), { metadata });
}

const { frameCount } = tinyConfig;
const binary = { task: "ms3", classes: ["sounding object"], frameCount } as const;
/** By the name of the test, how its model is written. */
const models: Readonly<Record<string, (file: string) => Promise<void>>> = {
  "WebGPU finds the same masks as Node": writeTinyModel,
  "WebGPU finds the same masks of TPAVI as Node": (file) => writeSeeded(file, tinyTpavi),
  "WebGPU finds the same masks of AVSegFormer as Node": (file) =>
    writeSeeded(file, { ...tinyAvsegformer, ...binary }),
};

for (const [name, write] of Object.entries(models)) {
  test(name, async (t) => {
    if (browserPath === undefined) return t.skip("Chromium is not installed");
    if (!hasSoftwareGpu) return t.skip("Chromium has no software driver for WebGPU");
    const dir = await tempDir(t);
    const checkpoint = path.join(dir, "tiny.safetensors");
    await write(checkpoint);
    await writeClip(dir, tinyClip(frameCount));
    const here = await openModel({ checkpoint, runtime: { threads: 1 } });
    const expected = await clipInNode(dir, here);
    await here.close();
    assert.equal(new Set(expected).size, 2, "some pixels are marked, and some are not");

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
}
