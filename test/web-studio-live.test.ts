/** The studio's live mode, with Chromium's fake camera and microphone playing a clip. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import test, { after, before } from "node:test";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { openModel, segmentVideo } from "../src/index.js";
import { DEMO_MODEL } from "../src/segment/node/shipped-models.js";
import { axeViolations, type OpenStudio, openStudio, skipStudio } from "./studio.js";
import { tempDir } from "./temp-dir.js";

const skip = skipStudio;
const dir = await tempDir({ after });
const clip = path.join(dir, "clip.mp4");
/** Where Node finds something in any second of the clip. */
const expected = new Uint8Array(160 * 160);
let studio: OpenStudio;

before(async () => {
  if (skip) return;
  await writeClipVideo({ task: "s4", split: "test", index: 0, seed: 1, imageSize: 160 }, clip);
  const [camera, microphone] = [path.join(dir, "camera.y4m"), path.join(dir, "microphone.wav")];
  execFileSync("ffmpeg", ["-v", "error", "-i", clip, "-pix_fmt", "yuv420p", camera, "-ac", "1", microphone]);
  const model = await openModel({ checkpoint: DEMO_MODEL.file });
  for await (const { mask } of segmentVideo(clip, model)) {
    for (const [i, label] of mask.labels.entries()) if (label > 0) expected[i] = 1;
  }
  await model.close();
  studio = await openStudio(
    {},
    {
      query: "empty",
      args: [
        "--use-fake-device-for-media-stream",
        `--use-file-for-fake-video-capture=${camera}`,
        `--use-file-for-fake-audio-capture=${microphone}`,
      ],
    },
  );
  await studio.page.getByRole("button", { name: "Live" }).click();
});
after(() => studio?.close());

const start = () => studio.page.getByRole("button", { name: "Start camera and microphone" }).click();

/** The tracks of the devices that are open. */
const tracks = () =>
  studio.page.evaluateHandle(() => {
    const { srcObject } = document.querySelector<HTMLVideoElement>(".live-page video") ?? {};
    return srcObject instanceof MediaStream ? srcObject.getTracks() : [];
  });

test("without permission it says what to do", { skip }, async () => {
  const { page, server } = studio;
  const session = await page.context().newCDPSession(page);
  for (const name of ["camera", "microphone"]) {
    const { origin } = new URL(server.address);
    await session.send("Browser.setPermission", { permission: { name }, setting: "denied", origin });
  }
  await start();
  const problem = page.getByRole("alert");
  await problem.filter({ hasText: "This page may not use the camera and the microphone" }).waitFor();
  assert.match((await problem.textContent()) ?? "", /Allow both in the browser's settings/);
  assert.deepEqual(await axeViolations(page), []);
});

test("masks follow the camera and the microphone, and their latency is shown", { skip }, async () => {
  const { page } = studio;
  await page.context().grantPermissions(["camera", "microphone"]);
  await start();
  await page.getByText(/^\d+ ms$/).waitFor();
  await page.locator(".live-found", { hasText: /% of the picture/ }).waitFor();
  const found: number[] = JSON.parse(
    await page.evaluate(() => JSON.stringify(window.avsegStudio?.liveLabels() ?? [])),
  );
  assert.equal(found.length, expected.length);
  const marked = found.flatMap((label, i) => (label > 0 ? [i] : []));
  const inside = marked.filter((i) => expected[i] === 1).length;
  assert.ok(marked.length > 0 && inside > 0.7 * marked.length, `${inside} of ${marked.length} pixels`);
  assert.deepEqual(await axeViolations(page), []);
});

test("stopping, and leaving the page, turn the devices off", { skip }, async () => {
  const { page } = studio;
  for (const leave of ["Stop", "Videos"]) {
    const opened = await tracks();
    assert.equal(await opened.evaluate((list) => list.filter((t) => t.readyState === "live").length), 2);
    await page.getByRole("button", { name: leave, exact: true }).click();
    await page.waitForFunction((list) => list.every((t) => t.readyState === "ended"), opened);
    if (leave !== "Stop") continue;
    await start();
    await page.getByRole("button", { name: "Stop", exact: true }).waitFor();
  }
  assert.deepEqual(studio.errors, []);
  assert.deepEqual(studio.foreign, []);
});
