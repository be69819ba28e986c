/** Where the studio runs, and files that a browser cannot read. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import test, { after, before } from "node:test";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { axeViolations, type OpenStudio, openStudio, skipStudio } from "./studio.js";
import { root } from "./support.js";
import { tempDir } from "./temp-dir.js";

const skip = skipStudio;
const dir = await tempDir({ after });
const clip = path.join(dir, "shapes.mp4");
let studio: OpenStudio;

before(async () => {
  if (skip) return;
  await writeClipVideo({ task: "ms3", split: "test", index: 0, seed: 1, imageSize: 160 }, clip);
  studio = await openStudio({}, { query: "empty" });
});
after(() => studio?.close());

test("what the browser cannot decode is decoded by this computer", { skip }, async () => {
  const { page } = studio;
  const video = path.join(dir, "old.avi");
  execFileSync("ffmpeg", ["-v", "error", "-t", "3", "-i", clip, "-c:v", "mpeg4", "-c:a", "ac3", video]);
  await page.locator(".library input[type=file]").setInputFiles(video);
  await page.locator(".entry[aria-current=true]", { hasText: /old\.avi.*0:03/ }).waitFor();
  await page.getByRole("button", { name: "Find what sounds" }).click();
  await page.getByText(/Something sounds in \d+ of 3 seconds/).waitFor({ timeout: 60_000 });
  await page.getByRole("button", { name: "Close old.avi" }).click();
});

test("what is no video says so", { skip }, async () => {
  const { page } = studio;
  await page.locator(".library input[type=file]").setInputFiles({
    name: "words.mp4",
    mimeType: "video/mp4",
    buffer: Buffer.from("these are words"),
  });
  await page
    .getByRole("alert")
    .filter({ hasText: /words\.mp4 is not a video/ })
    .waitFor();
  assert.deepEqual(await axeViolations(page), []);
  await page.getByRole("button", { name: "Close words.mp4" }).click();
});

test("on a host without isolation it runs on one thread and says so", { skip }, async () => {
  const files = path.join(root, "dist", "studio");
  const host = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://127.0.0.1");
    const file = path.join(files, pathname === "/" ? "index.html" : pathname);
    const types: Record<string, string> = {
      ".html": "text/html",
      ".js": "text/javascript",
      ".css": "text/css",
    };
    response.setHeader("Content-Type", types[path.extname(file)] ?? "application/octet-stream");
    response.end(existsSync(file) ? readFileSync(file) : "");
  });
  await new Promise<void>((resolve) => host.listen(0, "127.0.0.1", resolve));
  const address = host.address();
  assert.ok(typeof address === "object" && address);
  const page = await studio.browser.newPage();
  try {
    await page.goto(`http://127.0.0.1:${address.port}/`);
    await page.locator(".badge", { hasText: /WASM, 1 thread/ }).waitFor();
    await page.getByText(/Something sounds in 10 of 10 seconds/).waitFor({ timeout: 120_000 });
    await page.locator(".badge").click();
    await page.getByText(/This page is not cross-origin isolated, so that WASM runs on one thread/).waitFor();
    await page.keyboard.press("Escape");
    const video = path.join(dir, "old.avi");
    await page.locator(".library input[type=file]").setInputFiles(video);
    await page
      .getByRole("alert")
      .filter({ hasText: /Convert it to MP4/ })
      .waitFor();
  } finally {
    await page.close();
    host.close();
  }
});

test("a page on another port cannot use the local server", { skip }, async () => {
  const { origin, hash } = new URL(studio.server.address);
  const token = hash.replace("#token=", "");
  const hostile = createServer((_, response) => {
    response.writeHead(200, { "Content-Type": "text/html" });
    response.end("<title>hostile</title>");
  });
  await new Promise<void>((resolve) => hostile.listen(0, "127.0.0.1", resolve));
  const address = hostile.address();
  assert.ok(typeof address === "object" && address);
  const page = await studio.browser.newPage();
  try {
    await page.goto(`http://127.0.0.1:${address.port}/`);
    // Even with the token it can neither send nor read.
    const outcomes = await page.evaluate(
      async ({ target, secret }) => {
        const tries = [
          fetch(`${target}/api/session`, { headers: { "x-avseg-token": secret } }),
          fetch(`${target}/api/files?name=x`, { method: "POST", body: "x", mode: "no-cors" }),
          fetch(`${target}/example.mp4`),
        ];
        return Promise.all(
          tries.map((t) =>
            t.then(
              (r) => `${r.type} ${r.status}`,
              () => "failed",
            ),
          ),
        );
      },
      { target: origin, secret: token },
    );
    assert.deepEqual(outcomes, ["failed", "failed", "failed"]);
    const embedded = await page.evaluate(async (target) => {
      const loads = (tag: "img" | "script" | "video", address: string) =>
        new Promise<string>((resolve) => {
          const element = document.createElement(tag);
          for (const event of ["load", "loadeddata", "error"]) {
            element.addEventListener(event, () => resolve(event));
          }
          element.src = address;
          document.body.append(element);
        });
      const socket = new WebSocket(`${target.replace("http", "ws")}/api/session`);
      const socketEnd = new Promise<string>((resolve) => {
        for (const event of ["open", "error"]) socket.addEventListener(event, () => resolve(event));
      });
      return Promise.all([
        loads("img", `${target}/example.mp4`),
        loads("script", `${target}/index.html`),
        loads("video", `${target}/example.mp4`),
        socketEnd,
      ]);
    }, origin);
    assert.deepEqual(embedded, ["error", "error", "error", "error"]);
    const [posted] = await Promise.all([
      page.waitForResponse((response) => response.url().startsWith(`${origin}/api/files`)),
      page.evaluate((target) => {
        const [frame, form] = [document.createElement("iframe"), document.createElement("form")];
        frame.name = "sink";
        Object.assign(form, { action: `${target}/api/files?name=x`, method: "post", target: "sink" });
        document.body.append(frame, form);
        form.submit();
      }, origin),
    ]);
    assert.equal(posted.status(), 403);
    const framed = await page.evaluate(async (target) => {
      const frame = document.createElement("iframe");
      frame.src = target;
      document.body.append(frame);
      await new Promise((resolve) => frame.addEventListener("load", resolve));
      return frame.contentDocument === null;
    }, origin);
    assert.equal(framed, true);
  } finally {
    await page.close();
    hostile.close();
  }
});
