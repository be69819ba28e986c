/** Correcting masks in the studio: with the keyboard alone, class by class, into a folder. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after, before } from "node:test";
import { unzipSync } from "fflate";
import { checkDataset } from "../src/datasets/avsbench/check.js";
import { openDataset } from "../src/datasets/avsbench/open-dataset.js";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { axeViolations, type OpenStudio, openStudio, skipStudio } from "./studio.js";
import { tempDir } from "./temp-dir.js";
import { seededWeights, tinyAvss } from "./tiny-models.js";
import { torchFile } from "./torch-file.js";

const skip = skipStudio;
const dir = await tempDir({ after });
const clip = path.join(dir, "shapes.mp4");
let studio: OpenStudio;

before(async () => {
  if (skip) return;
  await writeClipVideo({ task: "ms3", split: "test", index: 0, seed: 1, imageSize: 160 }, clip);
  studio = await openStudio({}, { query: "empty" });
  await studio.page.locator(".library input[type=file]").setInputFiles(clip);
  await studio.page.getByRole("button", { name: "Find what sounds" }).click();
  await studio.page.getByText(/Something sounds in \d+ of 5 seconds/).waitFor({ timeout: 60_000 });
  await studio.page.getByRole("tab", { name: "Correct" }).click();
});
after(() => studio?.close());

/** The picture that is drawn on, with the focus. */
const surface = () => studio.page.getByRole("application", { name: /Second \d+ of shapes\.mp4/ });

async function press(...keys: string[]): Promise<void> {
  for (const key of keys) await studio.page.keyboard.press(key);
}

/** The files of the zip that "Save as a dataset" makes. */
async function savedZip(): Promise<Record<string, Uint8Array>> {
  const [download] = await Promise.all([
    studio.page.waitForEvent("download"),
    studio.page.getByRole("button", { name: "Save as a dataset" }).click(),
  ]);
  const file = path.join(dir, download.suggestedFilename());
  await download.saveAs(file);
  return unzipSync(readFileSync(file));
}

test("the pointer paints, and what it paints can be undone and redone", { skip }, async () => {
  const { page } = studio;
  const box = (await page.locator(".editor canvas").boundingBox()) ?? assert.fail();
  await page.waitForFunction(
    () => (document.querySelector<HTMLCanvasElement>(".editor canvas")?.width ?? 0) > 100,
  );
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x - 60, y);
  await page.mouse.down();
  await page.mouse.move(x + 60, y, { steps: 4 });
  await page.mouse.up();
  await page.getByText("Corrected seconds: 0.").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("Nothing is corrected yet").waitFor();
  await page.getByRole("button", { name: "Redo" }).click();
  await page.getByText("Corrected seconds: 0.").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
});

test("the keyboard alone paints, erases, fills polygons and takes back", { skip }, async () => {
  const { page } = studio;
  await page.waitForFunction(
    () => (document.querySelector<HTMLCanvasElement>(".editor canvas")?.width ?? 0) > 100,
  );
  await page.getByRole("button", { name: "Second after" }).focus();
  while (!(await surface().evaluate((element) => element === document.activeElement)))
    await press("Shift+Tab");
  await press("ArrowRight", "ArrowDown");
  await page.getByText("51% across, 51% down").waitFor();
  await press("b", "]", "Space");
  await page.getByText("Corrected seconds: 0.").waitFor();
  await press("Control+z");
  await page.getByText("Nothing is corrected yet.").waitFor();
  // A triangle right of the middle: with three corners Enter fills it.
  await press("p", "Shift+ArrowRight", "Space", "Shift+ArrowRight", "Space", "Enter");
  await page.getByText(/a polygon needs three corners/).waitFor();
  await press("Space", "Shift+ArrowLeft", "Space", "Shift+ArrowDown", "Space", "Enter");
  await page.getByText(/polygon filled/).waitFor();
  await page.getByText("Corrected seconds: 0.").waitFor();
  // A line of the eraser in the next second.
  await press("PageDown");
  await page.getByRole("application", { name: /^Second 1 of/ }).waitFor();
  await surface().focus();
  await press("e", "Enter", ...Array<string>(5).fill("Shift+ArrowLeft"), "Enter");
  await page.getByText(/line ended/).waitFor();
  await page.getByText("Corrected seconds: 0, 1.").waitFor();
  assert.deepEqual(await axeViolations(page), []);
});

test("corrections are saved into a folder with the files of the zip", { skip }, async () => {
  const { page } = studio;
  // Headless Chromium shows no chooser: a folder of the page's own stands in for the user's choice.
  await page.evaluate(() => {
    window.showDirectoryPicker = async () =>
      (await navigator.storage.getDirectory()).getDirectoryHandle("chosen", { create: true });
  });
  await page.getByRole("button", { name: "Save into a folder" }).click();
  await page.getByText("Saved into the folder chosen/shapes-corrected.").waitFor();
  const inFolder: Record<string, number> = await page.evaluate(async () => {
    const sizes: Record<string, number> = {};
    const visit = async (folder: FileSystemDirectoryHandle, at: string): Promise<void> => {
      for await (const [name, entry] of folder.entries()) {
        if (entry instanceof FileSystemDirectoryHandle) await visit(entry, `${at}${name}/`);
        else if (entry instanceof FileSystemFileHandle) sizes[`${at}${name}`] = (await entry.getFile()).size;
      }
    };
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("chosen");
    await visit(await root.getDirectoryHandle("shapes-corrected"), "");
    return sizes;
  });
  const zip = await savedZip();
  const sizes = Object.fromEntries(Object.entries(zip).map(([name, bytes]) => [name, bytes.length]));
  assert.ok(Object.keys(sizes).length > 10);
  assert.deepEqual(inFolder, sizes);
  for (const [name, bytes] of Object.entries(zip)) {
    await mkdir(path.dirname(path.join(dir, "ms3", name)), { recursive: true });
    await writeFile(path.join(dir, "ms3", name), bytes);
  }
  const { issues, clips } = await checkDataset({ task: "ms3", root: path.join(dir, "ms3") });
  assert.deepEqual([issues, clips.train], [[], 1]);
});

test("with a model that tells classes apart, a class is painted, and the dataset is one of AVSS", {
  skip,
}, async () => {
  const { page } = studio;
  const file = path.join(dir, "classes.pth");
  await writeFile(file, torchFile(seededWeights(tinyAvss)));
  await page.locator(".badge").click();
  await page.getByRole("dialog").locator("input[type=file]").setInputFiles(file);
  await page.getByText(/classes\.pth is open: AVSS/).waitFor({ timeout: 60_000 });
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Find it again" }).click();
  await page.locator(".run-bar p[role=status]", { hasText: "classes.pth" }).waitFor({ timeout: 60_000 });
  await page.getByRole("combobox", { name: "Class" }).selectOption("class 2");
  await surface().focus();
  await press("b", "Space");
  const zip = await savedZip();
  for (const [name, bytes] of Object.entries(zip)) {
    await mkdir(path.dirname(path.join(dir, "avss", name)), { recursive: true });
    await writeFile(path.join(dir, "avss", name), bytes);
  }
  const { issues, clips } = await checkDataset({ task: "avss", root: path.join(dir, "avss") });
  assert.deepEqual([issues, clips.train], [[], 1]);
  const dataset = await openDataset({
    ...{ task: "avss", root: path.join(dir, "avss"), split: "train", imageSize: 224 },
  });
  const painted = dataset.classes.indexOf("class 2");
  const found = await dataset.load(0);
  assert.ok(painted === 2 && found.masks.data.includes(painted));
});

test("the page threw nothing", { skip }, () => {
  assert.deepEqual(studio.errors, []);
  assert.deepEqual(studio.foreign, []);
});
