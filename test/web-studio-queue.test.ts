/** Several videos in the studio: segmented one after another by either engine, stopped, and failing alone. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after, before } from "node:test";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { axeViolations, type OpenStudio, openStudio, skipStudio } from "./studio.js";
import { tempDir } from "./temp-dir.js";

const skip = skipStudio;
const dir = await tempDir({ after });
const names = ["one", "damaged", "two"];
const videos = names.map((name) => path.join(dir, `${name}.mp4`));
const longVideos = ["first", "second"].map((name) => path.join(dir, `${name}-long.mp4`));
let studio: OpenStudio;

before(async () => {
  if (skip) return;
  for (const [index, file] of videos.entries()) {
    await writeClipVideo({ task: "s4", split: "test", index, seed: 1, imageSize: 96 }, file);
  }
  for (const file of longVideos) {
    const loop = ["-v", "error", "-stream_loop", "59", "-i", videos[0] ?? "", "-c", "copy", file];
    execFileSync("ffmpeg", loop);
  }
  await damage(videos[1] ?? "");
  studio = await openStudio({}, { query: "empty" });
  studio.page.setDefaultTimeout(120_000);
});
after(() => studio?.close());

/** Overwrites the coded pictures and sound, so that only the headers can be read. */
async function damage(file: string): Promise<void> {
  const bytes = await readFile(file);
  const start = bytes.indexOf("mdat") + 4;
  bytes.fill(0xff, start, start - 8 + bytes.readUInt32BE(start - 8));
  await writeFile(file, bytes);
}

const add = (files: readonly string[]) =>
  studio.page.locator(".library input[type=file]").setInputFiles([...files]);
const press = (name: string | RegExp) => studio.page.getByRole("button", { name }).click();
/** The videos in the strip, each with what it says. */
const entry = (name: string, says: RegExp) =>
  studio.page.locator(".library li", { hasText: `${name}.mp4` }).filter({ hasText: says });

async function closeAll(): Promise<void> {
  const buttons = studio.page.getByRole("button", { name: /^Close / });
  while ((await buttons.count()) > 0) await buttons.first().click();
}

for (const engine of ["This tab", "This computer"]) {
  test(`${engine}: one video after another, past one that fails`, { skip }, async () => {
    const { page } = studio;
    await closeAll();
    await press(/Small model/);
    await press(engine);
    await page.keyboard.press("Escape");
    await add(videos);
    await entry("two", /0:05/).waitFor();
    await press("Segment all (3)");
    await page.locator(".queue", { hasText: /\d of 3 done/ }).waitFor();
    await entry("two", /waiting/).waitFor();
    await entry("one", /5s?.*done$/).waitFor();
    await entry("damaged", /failed.*damaged/).waitFor();
    await entry("two", /done$/).waitFor();
    // What failed can be tried again; its reason stays at it, and the others have their masks.
    await page.getByRole("button", { name: "Segment all (1)" }).waitFor();
    await page.locator(".entry", { hasText: "two.mp4" }).click();
    await page.getByText(/Something sounds in \d of 5 seconds/).waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
    await page.locator(".entry", { hasText: "damaged.mp4" }).click();
    await page.getByRole("alert").filter({ hasText: "damaged.mp4" }).waitFor();
    assert.deepEqual(await axeViolations(page), []);
  });

  test(`${engine}: one video is stopped alone, and all at once`, { skip }, async () => {
    const { page } = studio;
    await closeAll();
    await add([...longVideos, videos[2] ?? ""]);
    await entry("two", /0:05/).waitFor();
    await press("Segment all (3)");
    await entry("first-long", /of 30\d s/).waitFor();
    await press("Stop segmenting second-long.mp4");
    await page.locator(".queue", { hasText: "0 of 2 done" }).waitFor();
    await press("Stop segmenting first-long.mp4");
    await entry("first-long", /stopped/).waitFor();
    await entry("two", /done$/).waitFor();
    await press("Segment all (2)");
    await entry("first-long", /of 30\d s/).waitFor();
    await press("Stop all");
    await page.getByRole("button", { name: "Segment all (2)" }).waitFor();
    await entry("first-long", /stopped/).waitFor();
    assert.equal(await entry("second-long", /stopped|done|waiting/).count(), 0);
    assert.deepEqual(studio.errors, []);
    assert.deepEqual(studio.foreign, []);
  });
}
