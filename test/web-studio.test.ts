/** The studio as its users have it: the built app in Chromium, on its local server. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import test, { after, before } from "node:test";
import { gzipSync } from "node:zlib";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { openModel, segmentVideo } from "../src/index.js";
import { differing } from "./browser-clip.js";
import { type OpenStudio, openStudio, skipStudio } from "./studio.js";
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

/** Waits until the shown video is segmented. */
const finished = () =>
  studio.page.getByText(/Something sounds in \d+ of \d+ seconds/).waitFor({ timeout: 120_000 });

test("the first load is at most 300 kB of compressed script besides the runtime and the model", {
  skip,
}, () => {
  const folder = path.join(root, "dist", "studio", "assets");
  const scripts = readdirSync(folder).filter((name) => name.endsWith(".js") && !name.startsWith("ort"));
  const sizes = scripts.map((name) => gzipSync(readFileSync(path.join(folder, name))).length);
  const total = sizes.reduce((a, b) => a + b, 0);
  assert.ok(total > 20_000 && total <= 300_000, `${total} bytes`);
});

test("the example is segmented at once, on its own", { skip }, async () => {
  await finished();
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

test("a chosen video gets the masks that Node finds", { skip }, async () => {
  const { page } = studio;
  await page.locator(".library input[type=file]").setInputFiles(clip);
  await page.getByRole("button", { name: "Find what sounds" }).click();
  await finished();
  const found: number[][] = JSON.parse(
    // As text: Playwright looks at every number of an array.
    await page.evaluate(() => JSON.stringify(window.avsegStudio?.labels() ?? [])),
  );
  const model = await openModel();
  const expected: number[][] = [];
  for await (const { mask } of segmentVideo(clip, model)) expected.push([...mask.labels]);
  await model.close();
  assert.ok(
    expected.flat().some((label) => label > 0),
    "nothing is marked",
  );
  assert.equal(found.length, expected.length);
  assert.ok(differing(found.flat(), expected.flat()) < 0.005);
});

test("this computer's engine finds the same", { skip }, async () => {
  const { page } = studio;
  const labels = () => page.evaluate(() => JSON.stringify(window.avsegStudio?.labels() ?? []));
  const inTab: number[][] = JSON.parse(await labels());
  await page.locator(".badge").click();
  await page.getByRole("button", { name: "This computer" }).click();
  await page
    .getByText(/this computer, CPU/)
    .first()
    .waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Find it again" }).click();
  await page.getByText(/Stop/).waitFor({ state: "hidden" });
  await finished();
  const native: number[][] = JSON.parse(await labels());
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
  await page.getByRole("button", { name: "Close words.mp4" }).click();
});

test("axe finds no violations, in light and dark", { skip }, async () => {
  const { page } = studio;
  await page.evaluate(readFileSync(path.join(root, "node_modules", "axe-core", "axe.min.js"), "utf8"));
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const found = await page.evaluate(async () => {
      const { violations } = await window.axe.run(document);
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
    });
    assert.deepEqual(found, [], colorScheme);
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

test("the page asked nobody but its own server, and threw nothing", { skip }, () => {
  assert.deepEqual(studio.foreign, []);
  assert.deepEqual(studio.errors, []);
});
