/**
 * `node dist/scripts/studio-pictures.js`: takes the pictures of the studio in the guide, `docs/studio/*.jpg`, with the built
 * app in headless Chromium and the example that is part of it.
 */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Page } from "playwright-core";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { openStudio } from "../test/studio.js";
import { correctMasks } from "../test/studio-corrections.js";
import { root } from "../test/support.js";

const folder = path.join(root, "docs", "studio");
await mkdir(folder, { recursive: true });
const temporary = await mkdtemp(path.join(os.tmpdir(), "avseg-pictures-"));
const [clip, camera, microphone] = ["clip.mp4", "camera.y4m", "microphone.wav"].map((name) =>
  path.join(temporary, name),
) as [string, string, string];
await writeClipVideo({ task: "s4", split: "test", index: 0, seed: 1, imageSize: 480 }, clip);
execFileSync("ffmpeg", ["-v", "error", "-i", clip, "-pix_fmt", "yuv420p", camera, "-ac", "1", microphone]);
const runs = path.join(temporary, "runs");
const studio = await openStudio(
  { runs },
  {
    query: "empty",
    args: [
      "--use-fake-device-for-media-stream",
      `--use-file-for-fake-video-capture=${camera}`,
      `--use-file-for-fake-audio-capture=${microphone}`,
    ],
  },
);
const { page } = studio;
page.setDefaultTimeout(300_000);

async function take(name: string): Promise<void> {
  if (name !== "loading") {
    await page.waitForFunction(() =>
      [...document.querySelectorAll(".stage")].every((stage) => {
        const [video, canvas] = [stage.querySelector("video"), stage.querySelector("canvas")];
        // A canvas that nothing was drawn on is 300 pixels wide.
        return !video || (!video.seeking && video.readyState >= 2 && canvas?.width !== 300);
      }),
    );
  }
  await page.waitForTimeout(400); // fonts, and the last frame of a fade
  await page.screenshot({ path: path.join(folder, `${name}.jpg`), type: "jpeg", quality: 70 });
}

const button = (name: string | RegExp) => page.getByRole("button", { name, exact: typeof name === "string" });
const press = (name: string | RegExp) => button(name).click();
const isDone = () => page.getByText(/Something sounds in \d+ of \d+ seconds/).waitFor();

/** A moment at which two shapes are in view, and only one is marked. */
async function showMoment(of: Page): Promise<void> {
  await of.locator(".clock").click();
  await of.keyboard.press("Home");
  for (let i = 0; i < 4; i++) await of.keyboard.press("ArrowRight");
}

/** A fine-tuning of the small model on a clip in which it misses what sounds. */
async function fineTuning(): Promise<void> {
  const spec = { task: "ms3", split: "test", index: 12, seed: 1, imageSize: 240 } as const;
  const shapes = path.join(temporary, "shapes.mp4");
  await writeClipVideo(spec, shapes);
  await page.locator(".library input[type=file]").setInputFiles(shapes);
  await press("Find what sounds");
  await isDone();
  await page.getByRole("tab", { name: "Correct" }).click();
  await correctMasks(page, spec);
  await press("Fine-tune …");
  await press("Start");
  await page
    .getByText(/^Done: mIoU/)
    .first()
    .waitFor();
  await press("Compare the second after");
  await page.getByRole("img", { name: /^After, second 1: / }).waitFor();
  await take("fine-tune");
  await press("Close");
}

/** Two short trainings of the small model, of which the pictures of the page of runs are taken. */
async function trainingRuns(): Promise<void> {
  const avseg = (...args: string[]) =>
    execFileSync(process.execPath, [path.join(root, "dist", "src", "cli", "main.js"), ...args]);
  const data = path.join(temporary, "data");
  avseg("data", "synth", "s4", "--out", data, "--train", "16", "--val", "8", "--test", "8");
  for (const [name, rate] of [
    ["fast", "6e-4"],
    ["slow", "6e-5"],
  ] as const) {
    const settings = [
      `data.root=${data}`,
      "data.batchSize=4",
      "training.epochs=8",
      `training.optimizer.learningRate=${rate}`,
    ];
    const out = path.join(runs, "s4", name);
    const set = settings.flatMap((setting) => ["--set", setting]);
    avseg("train", "s4", path.join(root, "config", "soundshapes", "s4.yaml"), ...set, "--out", out);
  }
  await press("Runs");
  await page.getByRole("img", { name: /^mIoU on the validation split/ }).waitFor();
  await take("runs");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.getByRole("checkbox", { name: /fast/ }).click();
  await page
    .getByRole("img", { name: /slow ends at .*fast ends at/ })
    .first()
    .waitFor();
  await take("runs-dark");
}

/** Three videos, of which one is done, one runs and one waits. */
async function queue(): Promise<void> {
  const videos: string[] = [];
  for (const [index, name] of ["harbor.mp4", "market.mp4", "square.mp4"].entries()) {
    const video = path.join(temporary, name);
    const one = path.join(temporary, `${index}.mp4`);
    await writeClipVideo({ task: "ms3", split: "test", index, seed: 1, imageSize: 320 }, one);
    const loop = ["-v", "error", "-stream_loop", index === 0 ? "0" : "11", "-i", one, "-c", "copy", video];
    execFileSync("ffmpeg", loop);
    videos.push(video);
  }
  await page.getByRole("tab", { name: "Look" }).click();
  for (const name of ["example", "shapes"]) await press(`Close ${name}.mp4`);
  await page.locator(".library input[type=file]").setInputFiles(videos);
  await page.locator(".entry", { hasText: /square\.mp4.*1:00/ }).waitFor();
  await press("Segment all (3)");
  await page.locator(".entry", { hasText: /market\.mp4.*\d\d of 6\d s/ }).waitFor();
  await take("queue");
  await press("Stop all");
}

try {
  await page
    .getByText(/WASM|WebGPU/)
    .first()
    .waitFor();
  await take("empty");
  await press("Open the example");
  await page.locator(".run", { hasText: /of 10 s/ }).waitFor();
  await take("loading");
  await isDone();
  await showMoment(page);
  await take("light");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.keyboard.press("3");
  await take("dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.keyboard.press("1");
  await page.locator(".badge").click();
  await take("models");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await take("shortcuts");
  await page.keyboard.press("Escape");
  await page.getByRole("tab", { name: "Does it listen?" }).click();
  await press("Silence");
  await page.waitForFunction(() => window.avsegStudio?.status("other") === "done");
  await take("listen");
  await press("Own sound only");
  await page.getByRole("tab", { name: "Look" }).click();
  await page.setViewportSize({ width: 360, height: 780 });
  await take("phone");
  await page.setViewportSize({ width: 1280, height: 800 });
  await fineTuning();
  await page.locator(".library input[type=file]").setInputFiles({
    name: "words.mp4",
    mimeType: "video/mp4",
    buffer: Buffer.from("these are words"),
  });
  await page.getByText(/words\.mp4 is not a video/).waitFor();
  await take("error");
  await press("Close words.mp4");
  await queue();
  await page.context().grantPermissions(["camera", "microphone"]);
  await press("Live");
  await press("Start camera and microphone");
  await page.locator(".live-found", { hasText: /% of the picture/ }).waitFor();
  await take("live");
  await trainingRuns();
} finally {
  await studio.close();
  await rm(temporary, { recursive: true, force: true });
}
