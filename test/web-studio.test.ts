/** The studio as its users have it: the built app in Chromium, on its local server. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import test, { after, before } from "node:test";
import { gzipSync } from "node:zlib";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { openModel, segmentVideo } from "../src/index.js";
import { DEMO_MODEL } from "../src/segment/node/shipped-models.js";
import { differing } from "./browser-clip.js";
import { axeViolations, foundLabels, type OpenStudio, openStudio, segmented, skipStudio } from "./studio.js";
import { root } from "./support.js";
import { tempDir } from "./temp-dir.js";

const skip = skipStudio;
const dir = await tempDir({ after });
const clip = path.join(dir, "shapes.mp4");
let studio: OpenStudio;

before(async () => {
  if (skip) return;
  await writeClipVideo({ task: "ms3", split: "test", index: 0, seed: 1, imageSize: 160 }, clip);
  studio = await openStudio();
});
after(() => studio?.close());

test("the example is segmented at once, on its own", { skip }, async (t) => {
  await studio.page.waitForFunction(() => (window.avsegStudio?.labels().length ?? 0) > 0, null, {
    timeout: 60_000,
  });
  const seconds = (await studio.page.evaluate(() => performance.now())) / 1000;
  t.diagnostic(`first masks ${seconds.toFixed(1)} s after the page was opened`);
  await segmented(studio.page);
  const { page } = studio;
  assert.match((await page.locator("p[role=status]").textContent()) ?? "", /sounds in 10 of 10 seconds/);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  const red = await page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>(".stage canvas");
    const context = canvas?.getContext("2d");
    if (!canvas || !context) return 0;
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      if ((data[i] ?? 0) > 1.5 * (data[i + 2] ?? 0) && (data[i] ?? 0) > 110) count++;
    }
    return count / (canvas.width * canvas.height);
  });
  assert.ok(red > 0.02 && red < 0.3, `${red} of the picture is marked`);
});

test("the first load is at most 300 kB of compressed script besides the runtime and the model", {
  skip,
}, () => {
  const scripts = [...studio.scripts].filter((name) => !path.basename(name).startsWith("ort"));
  assert.ok(
    scripts.some((name) => name.includes("worker")),
    "the workers' scripts were not recorded",
  );
  const sizes = scripts.map((name) => gzipSync(readFileSync(path.join(root, "dist", "studio", name))).length);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(total > 100_000 && total <= 300_000, `${total} bytes of ${scripts.join(" ")}`);
});

test("a chosen video gets the masks that Node finds", { skip }, async () => {
  const { page } = studio;
  await page.locator(".library input[type=file]").setInputFiles(clip);
  await page.getByRole("button", { name: "Find what sounds" }).click();
  await segmented(studio.page);
  const found = await foundLabels(page);
  const model = await openModel({ checkpoint: DEMO_MODEL.file });
  const expected: number[][] = [];
  for await (const { mask } of segmentVideo(clip, model)) expected.push([...mask.labels]);
  await model.close();
  assert.ok(
    expected.flat().some((label) => label > 0),
    "nothing is marked",
  );
  assert.equal(found.length, expected.length);
  assert.ok(differing(found.flat(), expected.flat()) < 0.005);
  const kept = (await page.evaluate(() => window.avsegStudio?.keptBytes() ?? 0)) / found.length;
  assert.ok(kept > 100 && kept < 16_384, `${kept} bytes are kept of a second`);
});

test("this computer's engine finds the same", { skip }, async () => {
  const { page } = studio;
  const inTab = await foundLabels(page);
  await page.locator(".badge").click();
  await page.getByRole("button", { name: "This computer" }).click();
  await page
    .getByText(/this computer, CPU/)
    .first()
    .waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Find it again" }).click();
  await page.getByText(/Stop/).waitFor({ state: "hidden" });
  await segmented(studio.page);
  const native = await foundLabels(page);
  assert.equal(native.length, inTab.length);
  assert.ok(differing(native.flat(), inTab.flat()) < 0.005);
  await page.locator(".badge").click();
  await page.getByRole("button", { name: "This tab" }).click();
  await page
    .getByText(/WASM|WebGPU/)
    .first()
    .waitFor();
  await page.keyboard.press("Escape");
});

test("the keyboard alone plays, steps, changes the look and lists what it does", { skip }, async () => {
  const { page } = studio;
  await page.locator(".clock").click();
  await page.keyboard.press("End");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  await page.locator(".clock", { hasText: "0:01.0" }).waitFor();
  await page.keyboard.press("3");
  assert.equal(await page.getByRole("button", { name: "Spotlight" }).getAttribute("aria-pressed"), "true");
  await page.keyboard.press("1");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
});

test("another sound is compared side by side", { skip }, async () => {
  const { page } = studio;
  await page.getByRole("tab", { name: "Does it listen?" }).click();
  await page.getByRole("button", { name: "Silence" }).click();
  await page.locator("figcaption", { hasText: "silence" }).waitFor();
  await page.waitForFunction(() => window.avsegStudio?.status("other") === "done", null, { timeout: 60_000 });
  await page.getByRole("button", { name: "Own sound only" }).click();
  await page.getByRole("tab", { name: "Look" }).click();
});

test("published models are listed with size and licenses before a download", { skip }, async () => {
  const { page } = studio;
  await page.locator(".badge").click();
  await page.getByLabel("Published model", { exact: true }).selectOption("seavs-s4");
  await page.getByRole("button", { name: /Download 6\d\d\.\d MB from its authors and open/ }).waitFor();
  await page.getByText(/License of the code: none stated; of the weights: none stated/).waitFor();
  assert.deepEqual(await axeViolations(page), []);
  await page.keyboard.press("Escape");
});

test("axe finds no violations on any panel, in light and dark, on a desktop and a phone", {
  skip,
}, async () => {
  const { page } = studio;
  for (const [colorScheme, width] of [
    ["light", 1280],
    ["dark", 360],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    assert.ok(
      await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
      `the page is wider than ${width} pixels`,
    );
    const engine = page.locator(".badge-engine");
    assert.match((await engine.textContent()) ?? "", /WASM|WebGPU/);
    assert.ok(
      await engine.evaluate((e) => e.clientWidth > 60 && e.scrollWidth <= e.clientWidth),
      `badge, ${width}`,
    );
    for (const tab of ["Does it listen?", "Export", "Correct", "Look"]) {
      await page.getByRole("tab", { name: tab }).click();
      assert.deepEqual(await axeViolations(page), [], `${colorScheme}, ${tab}`);
    }
    await page.getByRole("button", { name: "Keyboard shortcuts" }).click();
    assert.deepEqual(await axeViolations(page), [], `${colorScheme}, shortcuts`);
    await page.keyboard.press("Escape");
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 800 });
});

test("the page asked nobody but its own server, and threw nothing", { skip }, () => {
  assert.deepEqual(studio.foreign, []);
  assert.deepEqual(studio.errors, []);
});
