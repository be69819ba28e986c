/**
 * `node dist/bench/studio-memory.js MINUTES`, or with a video in place of the length: the memory of the studio's tab while it
 * segments the video, in MB that are in RAM, as one line of JSON per minute of it. Without a video, that is SoundShapes at 320x320 and 16 frames
 * per second, repeated.
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { openStudio, residentMb } from "../test/studio.js";

const [source = "30"] = process.argv.slice(2);
const clips = 4;
const clipSeconds = 5;
const pollMs = 1000;

const temporary = await mkdtemp(path.join(os.tmpdir(), "avseg-memory-"));
try {
  const minutes = Number(source);
  const video = Number.isFinite(minutes) ? await makeVideo(minutes) : source;
  const studio = await openStudio({}, { query: "empty" });
  try {
    await measure(studio, video);
  } finally {
    await studio.close();
  }
} finally {
  await rm(temporary, { recursive: true, force: true });
}

async function makeVideo(minutes: number): Promise<string> {
  const list: string[] = [];
  for (let index = 0; index < clips; index++) {
    const clip = path.join(temporary, `${index}.mp4`);
    await writeClipVideo({ task: "ms3", split: "test", index, seed: 1, imageSize: 320 }, clip);
    const stream = path.join(temporary, `${index}.ts`);
    execFileSync("ffmpeg", ["-v", "error", "-i", clip, "-c", "copy", stream]);
    list.push(stream);
  }
  const video = path.join(temporary, "video.mp4");
  const repeats = Math.ceil((60 * minutes) / (clips * clipSeconds));
  const all = Array.from({ length: repeats }, () => list).flat();
  execFileSync("ffmpeg", [
    ...["-v", "error", "-i", `concat:${all.join("|")}`, "-t", String(60 * minutes), "-c", "copy", video],
  ]);
  return video;
}

async function measure({ page, browser }: Awaited<ReturnType<typeof openStudio>>, video: string) {
  page.setDefaultTimeout(600_000); // a busy computer opens the model slowly
  await page.locator(".library input[type=file]").setInputFiles(video);
  await page.getByRole("button", { name: /Whole video/ }).click();
  const started = performance.now();
  for (let minute = 0; ; ) {
    await page.waitForTimeout(pollMs);
    const state = await page.evaluate(() => ({
      seconds: window.avsegStudio?.seconds() ?? 0,
      status: window.avsegStudio?.status("result"),
    }));
    const isOver = state.status !== "running";
    if (state.seconds < 60 * minute && !isOver) continue;
    const [renderer, gpu] = await Promise.all(["renderer", "GPU"].map((type) => residentMb(browser, type)));
    const line = { ...state, wall: Math.round((performance.now() - started) / 1000) };
    console.log(JSON.stringify({ ...line, renderer, gpu, load: os.loadavg()[0] }));
    if (isOver) return;
    minute = Math.floor(state.seconds / 60) + 1;
  }
}
