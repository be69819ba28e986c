/** The studio as its users have it: the built app in Chromium, on its local server. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import test, { after, before } from "node:test";
import { gzipSync } from "node:zlib";
import { unzipSync } from "fflate";
import { z } from "zod";
import { checkDataset } from "../src/datasets/avsbench/check.js";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { openModel, segmentVideo } from "../src/index.js";
import { readRgb as readImage } from "../src/media/node/image-file.js";
import { probeVideo } from "../src/media/node/probe-video.js";
import { readFrames } from "../src/media/node/read-video.js";
import { DEMO_MODEL } from "../src/segment/node/shipped-models.js";
import { writeSegmentation } from "../src/segment/node/write-segmentation.js";
import { differing } from "./browser-clip.js";
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
  studio = await openStudio();
});
after(() => studio?.close());

/** Waits until the shown video is segmented. */
const finished = () =>
  studio.page.getByText(/Something sounds in \d+ of \d+ seconds/).waitFor({ timeout: 120_000 });

test("the example is segmented at once, on its own", { skip }, async (t) => {
  await studio.page.waitForFunction(() => (window.avsegStudio?.labels().length ?? 0) > 0, null, {
    timeout: 60_000,
  });
  const seconds = (await studio.page.evaluate(() => performance.now())) / 1000;
  t.diagnostic(`first masks ${seconds.toFixed(1)} s after the page was opened`);
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
  await finished();
  const found: number[][] = JSON.parse(
    // As text: Playwright looks at every number of an array.
    await page.evaluate(() => JSON.stringify(window.avsegStudio?.labels() ?? [])),
  );
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

/** Saves what a button of the export panel makes. */
async function exported(name: string): Promise<string> {
  const { page } = studio;
  await page.getByRole("tab", { name: "Export" }).click();
  const [download] = await Promise.all([
    page.waitForEvent("download", { timeout: 90_000 }),
    page.getByRole("button", { name }).click(),
  ]);
  const file = path.join(dir, download.suggestedFilename());
  await download.saveAs(file);
  return file;
}

test("the exported video has the sound, the length and the masks where they are", { skip }, async () => {
  const file = await exported("Video as shown");
  const [source, made] = await Promise.all([probeVideo(clip), probeVideo(file)]);
  assert.ok(made.audioTrack, "no sound");
  assert.ok(Math.abs((made.durationSeconds ?? 0) - (source.durationSeconds ?? 0)) < 0.15);
  assert.deepEqual([made.width, made.height], [source.width, source.height]);
  const masks: number[][] = JSON.parse(
    await studio.page.evaluate(() => JSON.stringify(window.avsegStudio?.labels() ?? [])),
  );
  const [before, after] = [await collect(readFrames(source)), await collect(readFrames(made))];
  assert.equal(after.length, before.length);
  let [inside, outside, insideCount] = [0, 0, 0];
  for (const [i, mask] of masks.entries()) {
    for (const [k, label] of mask.entries()) {
      const change = Math.abs((after[i]?.rgb[3 * k] ?? 0) - (before[i]?.rgb[3 * k] ?? 0));
      if (label > 0) inside += change;
      else outside += change;
      insideCount += Number(label > 0);
    }
  }
  inside /= insideCount;
  outside /= masks.length * (masks[0]?.length ?? 0) - insideCount;
  assert.ok(inside > 25 && outside < 6, `red changed by ${inside} inside and by ${outside} outside of masks`);
});

test("exported masks and segments.json are those of `avseg segment`", { skip }, async () => {
  const file = await exported("Masks and segments.json");
  const files = unzipSync(readFileSync(file));
  const model = await openModel({ checkpoint: DEMO_MODEL.file });
  const outDir = path.join(dir, "segmented");
  await writeSegmentation(clip, model, { outDir, overlay: false });
  await model.close();
  const document = z.object({
    frames: z.array(z.unknown()),
    model: z.object({ classes: z.array(z.string()) }),
  });
  const [own, expected] = [
    Buffer.from(files["segments.json"] ?? []).toString("utf8"),
    readFileSync(path.join(outDir, "segments.json"), "utf8"),
  ].map((text) => document.parse(JSON.parse(text)));
  assert.equal(own?.frames.length, expected?.frames.length);
  assert.deepEqual(own?.model.classes, expected?.model.classes);
  let [different, count] = [0, 0];
  for (const name of readdirSync(path.join(outDir, "masks"))) {
    const png = files[`masks/${name}`];
    assert.ok(png, name);
    await writeFile(path.join(dir, "one.png"), png);
    const [a, b] = [
      await readImage(path.join(dir, "one.png")),
      await readImage(path.join(outDir, "masks", name)),
    ];
    assert.deepEqual(a.shape, b.shape);
    different += differing(a.data, b.data) * a.data.length;
    count += a.data.length;
  }
  assert.ok(count > 0 && different / count < 0.005, `${different} of ${count} values differ`);
});

test("a cut-out is transparent outside of the masks, as a video and as pictures", { skip }, async () => {
  const cutout = await exported("Cut-out with alpha");
  assert.ok(readFileSync(cutout).includes(Buffer.from([0x53, 0xc0, 0x81, 0x01])), "no AlphaMode in the WebM");
  const masks: number[][] = JSON.parse(
    await studio.page.evaluate(() => JSON.stringify(window.avsegStudio?.labels() ?? [])),
  );
  const pictures = unzipSync(readFileSync(await exported("Cut-out as pictures")));
  const times = z
    .array(z.number())
    .parse(JSON.parse(Buffer.from(pictures["frames/times.json"] ?? []).toString()));
  // The frame that the model saw in the first second.
  const at = times.findLastIndex((time) => time <= 15 / 16);
  const png = pictures[`frames/${String(at).padStart(6, "0")}.png`];
  assert.ok(png);
  const files = { picture: path.join(dir, "frame.png"), video: cutout };
  await writeFile(files.picture, png);
  for (const [what, input] of [
    ["picture", ["-i", files.picture]],
    ["video", ["-c:v", "libvpx-vp9", "-i", files.video, "-vf", `select=eq(n\\,${at})`]],
  ] as const) {
    const rgba = execFileSync("ffmpeg", [
      ...["-v", "error", ...input, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgba", "pipe:1"],
    ]);
    const labels = masks[0] ?? [];
    assert.equal(rgba.length, 4 * labels.length);
    const wrong = labels.filter((label, i) => label > 0 !== (rgba[4 * i + 3] ?? 0) > 127).length;
    assert.ok(wrong < 0.03 * labels.length, `${what}: the alpha of ${wrong} pixels differs`);
  }
});

test("run lengths are those of `avseg segment --format rle`", { skip }, async () => {
  const coco = z.object({
    categories: z.array(z.unknown()),
    images: z.array(z.unknown()),
    annotations: z.array(z.object({ id: z.number(), image_id: z.number(), area: z.number() })),
  });
  const own = coco.parse(JSON.parse(readFileSync(await exported("COCO run lengths"), "utf8")));
  const model = await openModel({ checkpoint: DEMO_MODEL.file });
  const outDir = path.join(dir, "rle");
  await writeSegmentation(clip, model, { outDir, overlay: false, format: "rle" });
  await model.close();
  const expected = coco.parse(JSON.parse(readFileSync(path.join(outDir, "masks.json"), "utf8")));
  assert.deepEqual([own.categories, own.images], [expected.categories, expected.images]);
  assert.ok(own.annotations.length > 0);
  const [ids, expectedIds] = [own, expected].map(({ annotations }) =>
    annotations.map(({ id, image_id }) => [id, image_id]),
  );
  assert.deepEqual(ids, expectedIds);
  for (const [i, { area }] of own.annotations.entries()) {
    // The tab's arithmetic differs by less than 0.5% of a picture's pixels.
    assert.ok(Math.abs(area - (expected.annotations[i]?.area ?? 0)) < 0.005 * 160 * 160);
  }
  await studio.page.getByRole("tab", { name: "Look" }).click();
});

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

test("corrections become a dataset that `avseg data check` accepts", { skip }, async () => {
  const { page } = studio;
  await page.getByRole("tab", { name: "Correct" }).click();
  const canvas = page.locator(".editor canvas");
  const box = (await canvas.boundingBox()) ?? assert.fail();
  await page.waitForFunction(
    () => (document.querySelector<HTMLCanvasElement>(".editor canvas")?.width ?? 0) > 100,
  );
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x - 60, y);
  await page.mouse.down();
  await page.mouse.move(x + 60, y, { steps: 4 });
  await page.mouse.up();
  await page.getByText(/Corrected seconds: \d/).waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("Nothing is corrected yet").waitFor();
  await page.getByRole("button", { name: "Redo" }).click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Save as a dataset" }).click(),
  ]);
  const zip = path.join(dir, download.suggestedFilename());
  await download.saveAs(zip);
  const data = path.join(dir, "corrected");
  for (const [name, content] of Object.entries(unzipSync(readFileSync(zip)))) {
    mkdirSync(path.dirname(path.join(data, name)), { recursive: true });
    await writeFile(path.join(data, name), content);
  }
  const { issues, clips } = await checkDataset({ task: "ms3", root: data });
  assert.deepEqual(
    issues.map(({ message }) => message),
    [],
  );
  assert.deepEqual(clips, { train: 1, val: 0, test: 0 });
  await page.getByRole("tab", { name: "Look" }).click();
});

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

test("published models are listed with size and licenses before a download", { skip }, async () => {
  const { page } = studio;
  await page.locator(".badge").click();
  await page.getByLabel("Published model", { exact: true }).selectOption("seavs-s4");
  await page.getByRole("button", { name: /Download 6\d\d\.\d MB from its authors and open/ }).waitFor();
  await page.getByText(/License of the code: none stated; of the weights: none stated/).waitFor();
  assert.deepEqual(await axeViolations(page), []);
  await page.keyboard.press("Escape");
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

test("the page asked nobody but its own server, and threw nothing", { skip }, () => {
  assert.deepEqual(studio.foreign, []);
  assert.deepEqual(studio.errors, []);
});
