/** The natural model in a browser: in a page of one's own, and in the studio. */
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { openModel, segmentVideo } from "../src/index.js";
import { NATURAL_EXAMPLE, NATURAL_MODEL } from "../src/segment/node/shipped-models.js";
import { browserPath, library, openPage, type Web } from "./browser.js";
import { differing } from "./browser-clip.js";
import { labelsOf } from "./recorder.js";
import { openStudio, skipStudio } from "./studio.js";
import { root } from "./support.js";

type Recorder = typeof import("./recorder.js");
const recorder = "/recorder.js";

const skip = browserPath === undefined && "Chromium is not installed";

test("the natural model marks in a page what it marks in Node", { skip }, async (t) => {
  const encoder = (name: string) => path.join(path.dirname(NATURAL_MODEL.file), `${name}.safetensors`);
  const { page, close } = await openPage(NATURAL_MODEL.file, {
    files: {
      "/visual": encoder("visual"),
      "/audio": encoder("audio"),
      "/example.mp4": NATURAL_EXAMPLE,
      [recorder]: path.join(root, "dist", "test", "recorder.js"),
    },
  });
  t.after(close);
  const found = await page.evaluate(
    async ({ library: from, recorder: code }) => {
      const { openModel: open, segmentVideo: segment }: Web = await import(from);
      const { labelsOf: record }: Recorder = await import(code);
      const encoders = { visual: "/visual", audio: "/audio" };
      const runtime = { provider: "wasm", wasmFolder: "/ort/" } as const;
      const model = await open({ checkpoint: "/model", encoders, runtime });
      const labels = await record(segment, "/example.mp4", model);
      await model.close();
      return labels;
    },
    { library, recorder },
  );
  const model = await openModel({ runtime: { threads: 1 } });
  t.after(() => model.close());
  const expected = await labelsOf(segmentVideo, NATURAL_EXAMPLE, model);
  assert.deepEqual(
    found.map(({ time }) => time),
    expected.map(({ time }) => time),
  );
  const [there, here] = [found, expected].map((steps) => steps.map(({ labels }) => labels).join(""));
  assert.ok(there !== undefined && here !== undefined);
  const marked = [...here].filter((label) => label !== "\0").length / here.length;
  assert.ok(marked > 0.02 && marked < 0.9, `${marked} of the pixels are marked: nothing to compare`);
  assert.ok(differing(there, here) < 0.005, `${differing(there, here)} of the pixels differ`);
});

test("the studio offers it by name, with size and licenses, on both engines", {
  skip: skipStudio,
}, async (t) => {
  const { page, close } = await openStudio({}, { query: "empty" });
  t.after(close);
  await page.locator(".badge").click();
  const opened = page.getByText(/Natural model \(PhotoSounds\) is open: S4, frames of 384 × 384/);
  await page
    .getByRole("button", { name: "Natural model (PhotoSounds), 21.9 MB, Apache-2.0 and CC BY 4.0" })
    .click();
  await opened.waitFor();
  await page.getByRole("button", { name: "This computer" }).click();
  await page.getByText(/is open: S4.* this computer, CPU/).waitFor();
  await opened.waitFor();
});
